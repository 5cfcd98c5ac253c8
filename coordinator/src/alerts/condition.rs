//! What is wrong. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops::words::{count, span};
use queue::{PluginChange, PluginEvent, TypeStats};

use super::facts::{Facts, NewestDead, QueueFacts};
use super::settings::AlertSettings;
use crate::chat::callback::ButtonAction;
use crate::chat::sanitize::safe_html;
use crate::chat::screen::Button;

/// Dead letters are news for so long.
const DEAD_IS_NEWS: Duration = Duration::from_secs(15 * 60);
/// Longest reason that is repeated, in characters.
const REASON: usize = 300;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// Names it: there is one message for each cause.
    pub(super) cause: String,
    /// What is wrong, in HTML.
    pub(super) html: String,
    /// Told in quiet hours too: people get no answers.
    pub(super) urgent: bool,
    /// What helps, if a button can do it.
    pub(super) button: Option<Button>,
}

/// Causes that are known without Redis begin with this.
const LOCAL: &str = "local:";
/// Causes of one type's queue begin with this.
const QUEUE: &str = "queue:";

/// Whether a cause can be judged although Redis does not say how the queue is.
pub(super) fn is_local(cause: &str) -> bool {
    cause.starts_with(LOCAL)
}

/// Whether a cause is of one type's queue, which is not judged while nobody takes tasks of any type.
pub(super) fn is_of_queue(cause: &str) -> bool {
    cause.starts_with(QUEUE)
}

/// What is wrong now.
pub(super) fn conditions(facts: &Facts, settings: &AlertSettings) -> Vec<Condition> {
    let mut wrong = Vec::new();
    if let Some(why) = &facts.redis {
        let html = format!("Redis cannot be used: {}", safe_html(why, REASON));
        wrong.push(Condition { cause: format!("{LOCAL}redis"), html, urgent: true, button: None });
    }
    if let Some(why) = &facts.updates {
        let html = format!("No messages arrive from Telegram: {}", safe_html(why, REASON));
        let cause = format!("{LOCAL}updates");
        wrong.push(Condition { cause, html, urgent: true, button: None });
    }
    if let Some(queue) = facts.judged() {
        let unattended = queue.is_unattended();
        if unattended {
            wrong.extend(of_no_workers(queue));
        }
        // A paused type waits for an operator, with or without workers.
        let judged = queue.types.iter().filter(|row| row.paused || !unattended);
        wrong.extend(judged.filter_map(|row| of_queue(row, settings)));
        wrong.extend(queue.types.iter().filter_map(|row| {
            let newest = queue.newest_dead.get(&row.task_type)?;
            of_dead_letters(row, newest)
        }));
        wrong.extend(of_plugins(queue));
    }
    wrong
}

/// Nobody takes tasks: one cause, however many types wait.
fn of_no_workers(queue: &QueueFacts) -> Option<Condition> {
    let running = queue.types.iter().filter(|row| !row.paused);
    let waiting: u64 = running.map(|row| row.ready + row.delayed).sum();
    if waiting == 0 {
        return None;
    }
    let why =
        if queue.workers.is_empty() { "No worker is running" } else { "Every worker is drained" };
    let html = format!("{why}: {}.", count(waiting, "task waits", "tasks wait"));
    let button = Some(workers_and_plugins());
    Some(Condition { cause: "workers".to_owned(), html, urgent: true, button })
}

fn workers_and_plugins() -> Button {
    Button::press("🧩 Workers and plugins", ButtonAction::Plugins)
}

/// The queue of a type does not move as it should.
fn of_queue(row: &TypeStats, settings: &AlertSettings) -> Option<Condition> {
    let task_type = &row.task_type;
    let waiting = row.ready + row.delayed;
    let oldest = Duration::from_millis(row.oldest_ms);
    let old = settings.oldest <= oldest;
    let tasks = count(waiting, "task waits", "tasks wait");
    let (html, urgent, button) = if row.paused {
        if waiting == 0 || !old {
            return None;
        }
        let html = format!("<b>{task_type}</b> is paused: {tasks}, the oldest {}.", span(oldest));
        let resume = ButtonAction::Resume { task_type: task_type.clone() };
        (html, false, Some(Button::press("▶️ Resume", resume)))
    } else if waiting > 0 && !row.offered {
        let html = format!("No worker runs <b>{task_type}</b>: {tasks}.");
        (html, true, Some(workers_and_plugins()))
    } else if old {
        let html = format!(
            "<b>{task_type}</b> is late: the oldest task is {} old, {tasks}, {} running.",
            span(oldest),
            row.active
        );
        (html, true, Some(Button::press("📊 Queue", ButtonAction::Stats)))
    } else if waiting >= settings.waiting {
        let html = format!("<b>{task_type}</b> grows: {tasks}.");
        (html, false, Some(Button::press("📊 Queue", ButtonAction::Stats)))
    } else {
        return None;
    };
    Some(Condition { cause: format!("{QUEUE}{task_type}"), html, urgent, button })
}

fn of_dead_letters(row: &TypeStats, newest: &NewestDead) -> Option<Condition> {
    if newest.age > DEAD_IS_NEWS {
        return None;
    }
    let task_type = &row.task_type;
    let code = newest.code.as_deref().unwrap_or("no code");
    let server = newest.failed_request.as_deref().map(|server| format!("; {server}"));
    let html = format!(
        "<b>{task_type}</b> has {}, the newest of the last {}: {}.",
        count(row.dead, "dead letter", "dead letters"),
        span(DEAD_IS_NEWS),
        safe_html(&format!("{code}{}", server.unwrap_or_default()), REASON)
    );
    let replay = ButtonAction::ReplayDead { task_type: task_type.clone() };
    let button = Some(Button::press("🔁 Try them again", replay));
    Some(Condition { cause: format!("dead:{task_type}"), html, urgent: false, button })
}

/// Plugins that were refused or rolled back, until another version comes into force there.
fn of_plugins(queue: &QueueFacts) -> Vec<Condition> {
    let alive: BTreeSet<&str> = queue.workers.iter().map(|worker| worker.worker.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut wrong: BTreeMap<&str, Vec<&PluginEvent>> = BTreeMap::new();
    for event in &queue.events {
        // The last event of each plugin on each worker counts.
        if !alive.contains(event.worker.as_str()) || !seen.insert((&event.worker, &event.plugin)) {
            continue;
        }
        if matches!(event.change, PluginChange::Refused | PluginChange::RolledBack) {
            wrong.entry(&event.plugin).or_default().push(event);
        }
    }
    wrong.into_iter().filter_map(|(plugin, events)| of_plugin(plugin, &events)).collect()
}

fn of_plugin(plugin: &str, events: &[&PluginEvent]) -> Option<Condition> {
    let event = events.first()?;
    let name = safe_html(plugin, 64);
    let on = count(events.len() as u64, "worker", "workers");
    let version = |version: &Option<String>| safe_html(version.as_deref().unwrap_or("?"), 64);
    let what = match event.change {
        PluginChange::RolledBack => format!(
            "Plugin <b>{name}</b> was rolled back from {} to {} on {on}",
            version(&event.version),
            version(&event.other_version)
        ),
        _ => format!("A new file of plugin <b>{name}</b> is refused on {on}"),
    };
    let why = event.reason.as_deref().map(|why| format!(": {}", safe_html(why, REASON)));
    let html = format!("{what}{}", why.unwrap_or_else(|| ".".to_owned()));
    let button = Some(workers_and_plugins());
    Some(Condition { cause: format!("plugin:{plugin}"), html, urgent: false, button })
}

#[cfg(test)]
mod tests;
