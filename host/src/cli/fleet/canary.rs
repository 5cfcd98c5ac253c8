//! `worker fleet push --canary`: who tries a version first, and what became of it.

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use queue::fleet::{
    Canary, Entry, Fleet, MAX_CANARY_SECONDS, MAX_CANARY_TASKS, Record, Tally, WorkerReport,
    is_label,
};
use tokio::time::Instant;

use super::common::described;
use crate::cli::plugins::output::one_line;
use crate::fleet::rollout;

/// How often it is looked while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often it is told how far a canary is.
const TELL_AGAIN: Duration = Duration::from_secs(2);
/// How long a push with a canary waits for what becomes of it, in seconds, unless `--wait` says otherwise.
const WAIT_SECONDS: u64 = 600;

#[derive(Debug, clap::Args)]
pub(super) struct CanaryFlags {
    /// Some workers run it first: `10` for about this share of them in percent, or those with a label. Without too many
    /// failed tasks it goes on to all by itself, else back.
    #[arg(long, value_name = "PERCENT|LABEL")]
    canary: Option<Who>,
    /// It goes on after this many tasks on these workers.
    #[arg(long, requires = "canary", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CANARY_TASKS)))]
    canary_tasks: u32,
    /// And not before this many seconds.
    #[arg(long, requires = "canary", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_CANARY_SECONDS)))]
    canary_seconds: u32,
}

/// The workers that run a version first.
#[derive(Debug, Clone)]
enum Who {
    Percent(u8),
    Label(String),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match digits.parse() {
                Ok(percent @ 1..=99) => Ok(Self::Percent(percent)),
                _ => Err("a share is 1 to 99 percent".to_owned()),
            };
        }
        if is_label(text) {
            return Ok(Self::Label(text.to_owned()));
        }
        Err("neither a share in percent nor a label".to_owned())
    }
}

impl CanaryFlags {
    pub(super) fn is_asked_for(&self) -> bool {
        self.canary.is_some()
    }

    /// The change that lets some workers try `record` first; without the flag, `record` itself. The error says why not.
    pub(super) async fn change(
        &self,
        fleet: &Fleet,
        name: &str,
        live: Option<&Record>,
        record: Record,
    ) -> anyhow::Result<Result<Record, String>> {
        let Some(who) = &self.canary else { return Ok(Ok(record)) };
        let Some(live) = live else {
            let reason = "the fleet has no version that the other workers could keep; push it without --canary";
            return Ok(Err(reason.to_owned()));
        };
        let reports = fleet.reports().await?;
        let chosen = match who {
            Who::Percent(percent) => rollout::choose(name, &record, &reports, *percent)
                .map(|folders| (Vec::new(), folders, *percent))
                .map_err(str::to_owned),
            Who::Label(label) => {
                some_have(label, &record, &reports).map(|()| (vec![label.clone()], Vec::new(), 0))
            }
        };
        let (labels, folders, percent) = match chosen {
            Ok(chosen) => chosen,
            Err(reason) => return Ok(Err(reason)),
        };
        let canary = Canary {
            record,
            labels,
            folders,
            percent,
            tasks: self.canary_tasks,
            seconds: self.canary_seconds,
        };
        Ok(Ok(Record { note: None, canary: Some(Box::new(canary)), ..live.clone() }))
    }
}

/// Whether some workers have the label, and others do not.
fn some_have(label: &str, record: &Record, reports: &[WorkerReport]) -> Result<(), String> {
    let meant = reports.iter().filter(|worker| record.is_for(&worker.labels));
    let (with, without): (Vec<_>, Vec<_>) =
        meant.partition(|worker| worker.labels.iter().any(|has| has == label));
    match (with.len(), without.len()) {
        (0, _) => Err(format!("no running worker that it is for has the label {label}")),
        (_, 0) => Err(format!(
            "every running worker that it is for has the label {label}; a canary leaves others that keep the version before"
        )),
        _ => Ok(()),
    }
}

/// Waits until it is decided what becomes of the canary that was pushed. Returns whether it went on.
pub(super) async fn wait(
    fleet: &Fleet,
    name: &str,
    digest: &str,
    seconds: Option<u64>,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let seconds = seconds.unwrap_or(WAIT_SECONDS);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut told = String::new();
    let mut next = Instant::now();
    loop {
        let entry = fleet.state().await?.entries.remove(name);
        let Some(entry) = entry else { anyhow::bail!("the fleet no longer has `{name}`") };
        let canary = entry.record.canary.as_deref();
        let Some(canary) = canary.filter(|canary| canary.record.digest == digest) else {
            writeln!(out, "{}", described(&entry))?;
            return Ok(entry.record.digest == digest && !entry.record.removed);
        };
        if Instant::now() >= next {
            let progress = progress(&entry, canary, &fleet.reports().await?);
            if progress != told {
                writeln!(out, "{progress}")?;
                out.flush()?;
                told = progress;
            }
            next = Instant::now() + TELL_AGAIN;
        }
        if Instant::now() >= until {
            writeln!(
                out,
                "not decided within {seconds} s; the workers decide by themselves, `worker fleet status {name}` shows it"
            )?;
            return Ok(false);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// One line on how far a canary is.
pub(super) fn progress(entry: &Entry, canary: &Canary, reports: &[WorkerReport]) -> String {
    let chosen: Vec<&WorkerReport> =
        reports.iter().filter(|worker| worker.is_canary_of(entry)).collect();
    let Tally { ended, failed } =
        Tally::of(chosen.iter().copied(), &entry.name, &canary.record.digest);
    one_line(&format!(
        "canary {} (sha256 {:.12}) on {} of {} workers: {ended} of {} tasks, {failed} failed",
        canary.record.version,
        canary.record.digest,
        chosen.len(),
        reports.len(),
        canary.tasks,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_share_and_another_word_a_label() {
        let read = |text: &str| text.parse::<Who>();
        assert!(matches!(read("10"), Ok(Who::Percent(10))));
        assert!(matches!(read("10%"), Ok(Who::Percent(10))));
        assert!(matches!(read("zone=eu"), Ok(Who::Label(label)) if label == "zone=eu"));
        for wrong in ["0", "100", "300", "", "%", "a b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
