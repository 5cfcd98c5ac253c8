//! No worker, a worker that is missing, and plugins that workers refused or rolled back.

use std::collections::{BTreeMap, BTreeSet};

use queue::{PluginChange, PluginEvent};

use super::problem::{PLUGINS, Problem, Severity, WORKERS};
use crate::dashboard::figures::Snapshot;
use crate::dashboard::past::Past;
use crate::dashboard::trend::Trend;
use crate::dashboard::words::{count, short};

/// How long a refused version or a rollback is news, in ms.
pub(super) const NEWS_FOR: u64 = 60 * 60_000;

pub(super) fn of(now: &Snapshot, past: &Past, trend: &Trend) -> Vec<Problem> {
    let mut found = Vec::new();
    let missing = trend.missing.certain(now.at);
    let first = missing.iter().map(|(_, since)| *since).min();
    if now.workers.is_empty() {
        let problem = Problem::new(Severity::Bad, "workers", "No worker is running");
        let problem = problem.why("No question is answered until one is started.").page(WORKERS);
        found.push(match first {
            Some(since) => problem.began(since, false),
            None => problem,
        });
    } else if let (Some(since), Some((name, _))) = (first, missing.first()) {
        let many = missing.len() as u64;
        let left = count(now.workers.len() as u64, "worker is left", "workers are left");
        let name = short(name, 80);
        let (what, who) = match many {
            1 => ("One worker is missing".to_owned(), format!("{name} did not stop by itself")),
            _ => (
                format!("{many} workers are missing"),
                format!("{name} and others did not stop by themselves"),
            ),
        };
        let why = format!(
            "{who}: killed, or cut off from Redis. {left}; what was running runs again there."
        );
        found.push(
            Problem::new(Severity::Warn, "missing", what)
                .why(why)
                .page(WORKERS)
                .began(since, false),
        );
    }
    found.extend(plugins(now, past));
    found
}

/// What the last event of each plugin on each running worker tells.
fn plugins(now: &Snapshot, past: &Past) -> Vec<Problem> {
    let alive: BTreeSet<&str> = now.workers.iter().map(|worker| worker.worker.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut troubled: BTreeMap<(&str, bool), Vec<&PluginEvent>> = BTreeMap::new();
    for event in &past.events {
        let is_last = seen.insert((event.worker.as_str(), event.plugin.as_str()));
        let is_news = event.at + NEWS_FOR > now.at && alive.contains(event.worker.as_str());
        let is_refused = match event.change {
            PluginChange::Refused => true,
            PluginChange::RolledBack => false,
            PluginChange::Published | PluginChange::Removed => continue,
        };
        if is_last && is_news {
            troubled.entry((&event.plugin, is_refused)).or_default().push(event);
        }
    }
    let problem = |((plugin, is_refused), events): ((&str, bool), Vec<&PluginEvent>)| {
        let began = events.iter().map(|event| event.at).min().unwrap_or(now.at);
        let newest = events.first()?;
        let on = count(events.len() as u64, "worker", "workers");
        let plugin = short(plugin, 64);
        let version = |version: &Option<String>| match version {
            Some(version) => format!("version {}", short(version, 64)),
            None => "a new version".to_owned(),
        };
        let reason = short(newest.reason.as_deref().unwrap_or("the reason is not known"), 300);
        let (key, what, stays) = if is_refused {
            let what = format!("{on} refused {} of the plugin {plugin}", version(&newest.version));
            ("plugin-refused", what, "The version before it stays, if there was one.")
        } else {
            let what = format!(
                "{on} rolled the plugin {plugin} back to {}",
                version(&newest.other_version)
            );
            ("plugin-back", what, "It answers with that version.")
        };
        let problem = Problem::new(Severity::Warn, format!("{key}:{plugin}"), what);
        Some(
            problem.why(format!("The reason: {reason}. {stays}")).page(PLUGINS).began(began, false),
        )
    };
    troubled.into_iter().filter_map(problem).collect()
}
