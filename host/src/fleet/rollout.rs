//! Rollouts in steps: a canary goes on to all workers when its tasks do well, and back when they do not.
//!
//! No worker leads. Each one that runs a canary reads the reports of all and decides for itself; the change is fenced
//! ([`Fleet::change`]), so the first one makes it and the others find it made.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use queue::RedisError;
use queue::fleet::{
    Canary, Change, Entry, Fleet, PluginReport, Record, Revision, Step, Tally, WorkerReport,
};
use queue::task::now_ms;
use rand::seq::SliceRandom;

use crate::metrics;
use crate::version::health;

/// How often a canary worker reads the reports.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the others do, in case that all canary workers are gone.
const LOOK_INTERVAL_OF_OTHERS: Duration = Duration::from_secs(15);
/// Canary workers that are gone for this long do not come back: a restart takes less.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// The canaries that this worker knows of.
#[derive(Debug)]
pub(super) struct Rollouts {
    watched: BTreeMap<String, Watched>,
    looked_at: Option<Instant>,
}

/// Since when, by this worker's clock.
#[derive(Debug)]
struct Watched {
    at: Revision,
    since: Instant,
    last_seen: Instant,
}

/// What becomes of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Undecided,
    /// All canary workers are gone.
    Absent,
    GoOn(String),
    GoBack(String),
}

impl Rollouts {
    pub(super) fn new() -> Self {
        Self { watched: BTreeMap::new(), looked_at: None }
    }

    /// Decides what is due. `labels` and `folder` are this worker's.
    pub(super) async fn tend(
        &mut self,
        fleet: &Fleet,
        entries: &BTreeMap<String, Entry>,
        (labels, folder): (&[String], &str),
    ) -> Result<(), RedisError> {
        let canaries: Vec<(&Entry, &Canary)> = entries
            .values()
            .filter(|entry| !entry.record.removed)
            .filter_map(|entry| Some((entry, entry.record.canary.as_deref()?)))
            .collect();
        self.watched.retain(|name, _| canaries.iter().any(|(entry, _)| entry.name == *name));
        if canaries.is_empty() {
            return Ok(());
        }
        let is_one = canaries.iter().any(|(_, canary)| canary.is_for(labels, folder));
        let interval = if is_one { LOOK_INTERVAL } else { LOOK_INTERVAL_OF_OTHERS };
        if self.looked_at.is_some_and(|looked_at| looked_at.elapsed() < interval) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        let reports = fleet.reports().await?;
        for (entry, canary) in canaries {
            let watched = self.watch(entry);
            let verdict = judge(entry, canary, &reports, watched.since.elapsed());
            if verdict != Verdict::Absent {
                watched.last_seen = Instant::now();
            }
            let is_gone = watched.last_seen.elapsed() >= GONE_AFTER;
            let Some((record, outcome)) = next(entry, canary, verdict, &reports, is_gone) else {
                continue;
            };
            if let Change::Done(_) = fleet.change(&entry.name, Some(entry), &record).await? {
                tell(entry, canary, &record, outcome);
            }
        }
        Ok(())
    }

    fn watch(&mut self, entry: &Entry) -> &mut Watched {
        let now = Instant::now();
        let new = || Watched { at: entry.at.clone(), since: now, last_seen: now };
        let watched = self.watched.entry(entry.name.clone()).or_insert_with(new);
        if watched.at != entry.at {
            *watched = new();
        }
        watched
    }
}

/// The record that follows from a verdict, and its name in metrics; none when all stays.
fn next(
    entry: &Entry,
    canary: &Canary,
    verdict: Verdict,
    reports: &[WorkerReport],
    is_gone: bool,
) -> Option<(Record, &'static str)> {
    let pushed_at = now_ms();
    let back = |note: String| {
        let note = format!(
            "the canary {} (sha256 {:.12}) went back: {note}",
            canary.record.version, canary.record.digest
        );
        Record { pushed_at, note: Some(note), canary: None, ..entry.record.clone() }
    };
    match verdict {
        Verdict::Undecided => None,
        Verdict::GoOn(note) => {
            let note = Some(format!("the canary went on to all: {note}"));
            Some((Record { pushed_at, note, ..canary.record.clone() }, "on"))
        }
        Verdict::GoBack(note) => Some((back(note), "back")),
        Verdict::Absent if !is_gone => None,
        Verdict::Absent => match choose(&entry.name, &canary.record, reports, canary.percent) {
            Ok(folders) if canary.labels.is_empty() => {
                let canary = Some(Box::new(Canary { folders, ..canary.clone() }));
                Some((Record { canary, ..entry.record.clone() }, "chosen-anew"))
            }
            _ => Some((back("its workers are gone".to_owned()), "back")),
        },
    }
}

fn judge(
    entry: &Entry,
    canary: &Canary,
    reports: &[WorkerReport],
    watched_for: Duration,
) -> Verdict {
    let name = &entry.name;
    let digest = &canary.record.digest;
    let (chosen, others): (Vec<&WorkerReport>, Vec<&WorkerReport>) =
        reports.iter().partition(|worker| worker.is_canary_of(entry));
    // A worker whose own folder has the plugin tries nothing.
    let seats: Vec<(&WorkerReport, Option<&PluginReport>)> = chosen
        .iter()
        .map(|worker| {
            let is_about_it =
                |report: &&PluginReport| report.name == *name && report.digest == *digest;
            let report = worker.plugins.iter().find(is_about_it);
            (*worker, report.filter(|_| worker.has_read(&entry.at)))
        })
        .filter(|(_, report)| report.is_none_or(|report| report.step != Step::OwnFile))
        .collect();
    if seats.is_empty() {
        return Verdict::Absent;
    }
    for (worker, report) in &seats {
        if let Some(PluginReport { step: Step::Refused, reason, .. }) = report {
            let reason = reason.as_deref().unwrap_or("it says no reason");
            let WorkerReport { worker, host, .. } = worker;
            return Verdict::GoBack(format!("{worker} on {host} refused it: {reason}"));
        }
    }
    let tally = Tally::of(chosen, name, digest);
    let Tally { ended, failed } = tally;
    let before = Tally::of(others, name, &entry.record.digest);
    let workers = seats.len();
    let counted =
        format!("{failed} of {ended} tasks failed on {workers} of {} workers", reports.len());
    if health::is_worse((ended, failed), (before.ended, before.failed)) {
        let Tally { ended, failed } = before;
        return Verdict::GoBack(format!("{counted}, and {failed} of {ended} on the others"));
    }
    let all_run =
        seats.iter().all(|(_, report)| report.is_some_and(|report| report.step == Step::Running));
    let long_enough = watched_for >= Duration::from_secs(canary.seconds.into());
    if all_run && long_enough && ended >= canary.tasks.into() {
        return Verdict::GoOn(counted);
    }
    Verdict::Undecided
}

/// Chooses the folders whose workers try `record` first: about `percent` of the workers that it is for, at least one and
/// not all.
///
/// # Errors
///
/// Why there is no such choice.
pub(crate) fn choose(
    plugin: &str,
    record: &Record,
    reports: &[WorkerReport],
    percent: u8,
) -> Result<Vec<String>, &'static str> {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for worker in reports {
        let has_own = |report: &PluginReport| report.name == plugin && report.step == Step::OwnFile;
        let takes_it = record.is_for(&worker.labels) && !worker.plugins.iter().any(has_own);
        if takes_it && !worker.folder.is_empty() {
            *folders.entry(&worker.folder).or_default() += 1;
        }
    }
    if folders.len() < 2 {
        return Err(
            "a canary needs two workers that do not share a folder: one tries the version, the other keeps the one before",
        );
    }
    let workers: usize = folders.values().sum();
    let wanted = (workers * usize::from(percent.min(100))).div_ceil(100);
    let mut folders: Vec<(&str, usize)> = folders.into_iter().collect();
    folders.shuffle(&mut rand::rng());
    folders.pop(); // This one keeps the version before.
    let mut chosen = 0;
    let taken = folders.into_iter().take_while(|(_, count)| {
        let is_needed = chosen == 0 || chosen < wanted;
        chosen += count;
        is_needed
    });
    Ok(taken.map(|(folder, _)| folder.to_owned()).collect())
}

fn tell(entry: &Entry, canary: &Canary, record: &Record, outcome: &'static str) {
    metrics::fleet_canary(outcome);
    let plugin = &entry.name;
    let digest = canary.record.digest.get(..12).unwrap_or_default();
    let reason = record.note.as_deref();
    match outcome {
        "on" => {
            tracing::info!(plugin, digest, reason, "canary of the fleet goes on to all workers");
        }
        "back" => tracing::warn!(plugin, digest, reason, "canary of the fleet goes back"),
        _ => tracing::info!(plugin, digest, "canary of the fleet goes to other workers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(digest: &str) -> Record {
        Record { digest: digest.to_owned(), version: digest.to_owned(), ..Record::default() }
    }

    fn entry() -> Entry {
        let canary = Canary {
            record: record("new"),
            labels: Vec::new(),
            folders: vec!["one".to_owned()],
            percent: 10,
            tasks: 20,
            seconds: 30,
        };
        let at = Revision { era: "e".to_owned(), number: 7 };
        let record = Record { canary: Some(Box::new(canary)), ..record("old") };
        Entry { name: "a".to_owned(), at, record }
    }

    fn worker(folder: &str, step: Step, (failed, ended): (u32, u32)) -> WorkerReport {
        let digest = if folder == "one" { "new" } else { "old" }.to_owned();
        let report = PluginReport {
            name: "a".to_owned(),
            step,
            runs: Some(digest.clone()),
            digest,
            reason: (step == Step::Refused).then(|| "why".to_owned()),
            ended,
            failed,
            ..PluginReport::default()
        };
        WorkerReport {
            worker: format!("w-{folder}"),
            host: "h".to_owned(),
            folder: folder.to_owned(),
            revision: Some(entry().at),
            plugins: vec![report],
            ..WorkerReport::default()
        }
    }

    #[track_caller]
    fn check(canary: WorkerReport, others: (u32, u32), seconds: u64, expected: &str) {
        let entry = entry();
        let reports = [canary, worker("two", Step::Running, others)];
        let canary = entry.record.canary.as_deref().unwrap();
        let verdict = judge(&entry, canary, &reports, Duration::from_secs(seconds));
        assert!(format!("{verdict:?}").starts_with(expected), "{verdict:?}");
    }

    #[test]
    fn a_canary_that_does_well_goes_on_when_it_had_its_tasks_and_its_time() {
        let running = |counts| worker("one", Step::Running, counts);
        check(running((0, 20)), (0, 99), 30, "GoOn(\"0 of 20 tasks failed on 1 of 2 workers\")");
        check(running((0, 20)), (0, 99), 29, "Undecided");
        check(running((0, 19)), (0, 99), 99, "Undecided");
        check(running((10, 20)), (50, 100), 30, "GoOn");
        check(worker("one", Step::Checking, (0, 20)), (0, 0), 99, "Undecided");
    }

    #[test]
    fn one_that_fails_more_than_the_others_or_is_refused_goes_back_at_once() {
        let running = |counts| worker("one", Step::Running, counts);
        check(running((5, 10)), (1, 100), 1, "GoBack(\"5 of 10 tasks failed");
        check(running((4, 4)), (0, 0), 1, "Undecided");
        check(
            worker("one", Step::Refused, (0, 0)),
            (0, 0),
            0,
            "GoBack(\"w-one on h refused it: why",
        );
    }

    #[test]
    fn a_report_from_before_the_push_says_nothing_of_it() {
        let mut early = worker("one", Step::Refused, (0, 0));
        early.revision = Some(Revision { number: 6, ..entry().at });
        check(early, (0, 0), 0, "Undecided");
    }

    #[test]
    fn a_canary_whose_workers_are_gone_is_tried_by_others_and_goes_back_when_there_are_none() {
        let entry = entry();
        let canary = entry.record.canary.as_deref().unwrap();
        let [two, three] = ["two", "three"].map(|folder| worker(folder, Step::Running, (0, 0)));
        let reports = [two.clone(), three];
        let verdict = judge(&entry, canary, &reports, Duration::ZERO);
        assert_eq!(verdict, Verdict::Absent);
        assert_eq!(next(&entry, canary, Verdict::Absent, &reports, false), None);
        let (record, _) = next(&entry, canary, Verdict::Absent, &reports, true).unwrap();
        assert_eq!(record.canary.unwrap().folders.len(), 1);
        assert_eq!(record.digest, "old");
        let (record, outcome) = next(&entry, canary, Verdict::Absent, &[two], true).unwrap();
        assert_eq!((record.canary, outcome), (None, "back"));
    }

    #[test]
    fn a_share_is_at_least_one_worker_and_never_all() {
        let reports: Vec<WorkerReport> =
            (0..8).map(|number| worker(&number.to_string(), Step::Running, (0, 0))).collect();
        let share = |percent, reports: &[WorkerReport]| {
            choose("a", &record("new"), reports, percent).map(|chosen| chosen.len())
        };
        assert_eq!(share(1, &reports), Ok(1));
        assert_eq!(share(25, &reports), Ok(2));
        assert_eq!(share(26, &reports), Ok(3));
        assert_eq!(share(100, &reports), Ok(7));
        assert!(share(50, &reports[..1]).is_err());
        let shared = [reports[0].clone(), reports[0].clone()];
        assert!(share(50, &shared).is_err(), "two workers of one folder run the same");
        let own = [reports[0].clone(), worker("own", Step::OwnFile, (0, 0))];
        assert!(share(50, &own).is_err(), "one has a file of its own");
    }
}
