//! `worker fleet status`.

use std::io::Write;
use std::time::Duration;

use ops::flags::RedisFlags;
use queue::fleet::{Entry, Fleet, PluginReport, State, Step, WorkerReport};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::canary;
use super::common::{connect, described};
use crate::cli::plugins::output::{Format, ago, one_line};

/// How often it is looked while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Shows what the fleet should run, which workers do, and which do not and why. Exits with 1 when a worker does not.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Only this plugin.
    plugin: Option<String>,
    /// Waits at most this long, in seconds, until every worker runs what it should.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    #[command(flatten)]
    redis: RedisFlags,
}

impl Status {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let fleet = connect(&self.redis).await?;
        let plugin = self.plugin.as_deref();
        let seconds = self.wait.unwrap_or_default();
        let overview = converged_or_late(&fleet, plugin, seconds).await?;
        match format {
            Format::Text => overview.write(out)?,
            Format::Json => writeln!(out, "{:#}", overview.to_json())?,
        }
        Ok(overview.converged())
    }
}

/// Waits for the workers and shows how far they are.
pub(super) async fn wait(
    fleet: &Fleet,
    plugin: Option<&str>,
    seconds: u64,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let overview = converged_or_late(fleet, plugin, seconds).await?;
    overview.write(out)?;
    Ok(overview.converged())
}

async fn converged_or_late(
    fleet: &Fleet,
    plugin: Option<&str>,
    seconds: u64,
) -> anyhow::Result<Overview> {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        let mut state = fleet.state().await?;
        state.entries.retain(|name, _| plugin.is_none_or(|plugin| plugin == name));
        let overview = Overview { state, workers: fleet.reports().await? };
        if overview.converged() || Instant::now() >= until {
            return Ok(overview);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The state and the workers' reports.
struct Overview {
    state: State,
    workers: Vec<WorkerReport>,
}

/// One worker that should run a plugin.
struct Seat<'a> {
    worker: &'a WorkerReport,
    report: Option<&'a PluginReport>,
    /// It tries the canary.
    is_canary: bool,
    /// It has read the present state, so that its report is about it.
    is_current: bool,
}

impl Seat<'_> {
    fn runs(&self) -> bool {
        self.is_current && self.report.is_some_and(|report| report.step == Step::Running)
    }

    fn has_own(&self) -> bool {
        self.report.is_some_and(|report| report.step == Step::OwnFile)
    }

    /// Its step, since when, and why.
    fn told(&self) -> String {
        let Some(report) = self.report.filter(|_| self.is_current) else {
            return "has not read the present state yet".to_owned();
        };
        let step = match report.step {
            Step::Fetching => "fetches the component",
            Step::Checking => "checks, compiles and tries it",
            Step::Running => "runs it",
            Step::Refused => "refused it",
            Step::OwnFile => "runs its own file",
        };
        let runs = report.runs.as_deref().filter(|runs| *runs != report.digest);
        let runs = runs.map(|runs| format!("; runs sha256 {runs:.12}")).unwrap_or_default();
        let reason = report.reason.as_deref().map(|reason| format!(": {reason}"));
        let canary = if self.is_canary { "canary: " } else { "" };
        let since = ago(report.since);
        let reason = reason.unwrap_or_default();
        one_line(&format!("{canary}{step}, {since}{runs}{reason}"))
    }
}

impl Overview {
    fn live(&self) -> impl Iterator<Item = &Entry> {
        self.state.entries.values().filter(|entry| !entry.record.removed)
    }

    /// The workers that should run a plugin.
    fn seats<'a>(&'a self, entry: &'a Entry) -> Vec<Seat<'a>> {
        let seat = |worker: &'a WorkerReport| {
            let record = entry.record_for(&worker.labels, &worker.folder)?;
            let is_about_it = |report: &&PluginReport| {
                report.name == entry.name && report.digest == record.digest
            };
            Some(Seat {
                worker,
                report: worker.plugins.iter().find(is_about_it),
                is_canary: worker.is_canary_of(entry),
                is_current: worker.revision == self.state.revision,
            })
        };
        self.workers.iter().filter_map(seat).collect()
    }

    /// Every worker has read the state and runs what it should, and every plugin has a worker.
    fn converged(&self) -> bool {
        let all_read = self.workers.iter().all(|worker| worker.revision == self.state.revision);
        all_read
            && self.live().all(|entry| {
                let seats = self.seats(entry);
                !seats.is_empty() && seats.iter().all(|seat| seat.runs() || seat.has_own())
            })
    }

    fn write(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if self.state.entries.is_empty() {
            writeln!(out, "the fleet has no plugins; `worker fleet push FILE` pushes one")?;
        }
        if self.workers.is_empty() {
            writeln!(out, "no worker follows the fleet; start workers with --fleet")?;
        }
        for entry in self.live() {
            let seats = self.seats(entry);
            let own = seats.iter().filter(|seat| seat.has_own()).count();
            let run = seats.iter().filter(|seat| seat.runs()).count();
            let of = seats.len() - own;
            let own =
                if own > 0 { format!(", {own} with a file of their own") } else { String::new() };
            let it = match entry.record.canary {
                Some(_) => "what they should",
                None => "it",
            };
            writeln!(out, "{}: {run} of {of} workers run {it}{own}", described(entry))?;
            if let Some(canary) = entry.record.canary.as_deref() {
                writeln!(out, "  {}", canary::progress(entry, canary, &self.workers))?;
            }
            for seat in &seats {
                let WorkerReport { worker, host, labels, .. } = seat.worker;
                let labels = if labels.is_empty() {
                    String::new()
                } else {
                    format!(" [{}]", labels.join(", "))
                };
                writeln!(
                    out,
                    "  {}{}: {}",
                    one_line(&format!("{worker} on {host}")),
                    one_line(&labels),
                    seat.told()
                )?;
            }
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let plugins: Vec<Value> = self
            .live()
            .map(|entry| {
                let seats = self.seats(entry);
                let workers: Vec<Value> = seats
                    .iter()
                    .map(|seat| {
                        json!({
                            "worker": seat.worker.worker, "host": seat.worker.host,
                            "labels": seat.worker.labels, "canary": seat.is_canary, "runs_it": seat.runs(),
                            "report": seat.report.filter(|_| seat.is_current),
                        })
                    })
                    .collect();
                json!({"name": entry.name, "revision": entry.at, "record": entry.record, "workers": workers})
            })
            .collect();
        json!({
            "revision": self.state.revision, "converged": self.converged(),
            "workers": self.workers.len(), "plugins": plugins,
        })
    }
}
