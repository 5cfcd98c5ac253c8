//! How a version's tasks ended, and whether a new version fails more often than the one before.

use std::sync::atomic::{AtomicU32, Ordering};

use queue::FailureCode;

/// A new version is watched for this many tasks.
const WATCHED_TASKS: u32 = 20;
/// Failures before a rollback is considered.
const MIN_FAILURES: u64 = 5;
/// How much higher than the previous version's the failure rate may be, in percentage points.
const MARGIN_PERCENT: u64 = 30;

/// Counters of one version. A verdict may miss a task that ends at the same moment; the next verdict counts it.
#[derive(Debug, Default)]
pub(crate) struct TaskCounts {
    ended: AtomicU32,
    failed: AtomicU32,
}

/// What the counters say about a new version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too few tasks have ended.
    Undecided,
    /// It fails no more often than the previous version, or not by much.
    Healthy,
    /// It fails more often than the previous version.
    RollBack { failed: u32, ended: u32 },
}

impl TaskCounts {
    /// Counts one ended task by its failure code.
    pub(crate) fn record(&self, code: Option<FailureCode>) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        if code.is_some_and(is_blamed) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tasks that ended, and those of them that failed by the version's fault.
    pub(crate) fn read(&self) -> (u32, u32) {
        // Read `failed` first, so that it never exceeds `ended`.
        let failed = self.failed.load(Ordering::Relaxed);
        (self.ended.load(Ordering::Relaxed), failed)
    }

    /// Compares with the previous version.
    pub(crate) fn verdict(&self, previous: &Self) -> Verdict {
        let (ended, failed) = self.read();
        let (ended_before, failed_before) = previous.read();
        let before = (ended_before.into(), failed_before.into());
        if is_worse((ended.into(), failed.into()), before) {
            return Verdict::RollBack { failed, ended };
        }
        if ended >= WATCHED_TASKS { Verdict::Healthy } else { Verdict::Undecided }
    }
}

/// Whether a version fails more often than the one before, given the tasks that ended and those that failed of each.
pub(crate) fn is_worse((ended, failed): (u64, u64), (before, failed_before): (u64, u64)) -> bool {
    let percent = |failed: u64, ended| failed.saturating_mul(100).checked_div(ended).unwrap_or(0);
    failed >= MIN_FAILURES
        && percent(failed, ended) > percent(failed_before, before) + MARGIN_PERCENT
}

/// Whether a version answers for a failure. It does not for what the person, the web or the operator did.
fn is_blamed(code: FailureCode) -> bool {
    match code {
        FailureCode::PluginFailed
        | FailureCode::Trap
        | FailureCode::Exited
        | FailureCode::WallLimit
        | FailureCode::CpuLimit
        | FailureCode::MemoryLimit
        | FailureCode::TableLimit
        | FailureCode::StackLimit
        | FailureCode::HandleLimit
        | FailureCode::HostCallLimit
        | FailureCode::OutputLimit
        | FailureCode::RequestLimit
        | FailureCode::RequestBodyLimit
        | FailureCode::ResponseLimit
        | FailureCode::CacheLimit
        | FailureCode::InvalidOutput => true,
        FailureCode::InvalidTask
        | FailureCode::InvalidParams
        | FailureCode::TaskTooLarge
        | FailureCode::UnknownTaskType
        | FailureCode::NotFound
        | FailureCode::RetriesExhausted
        | FailureCode::InputLimit
        | FailureCode::LogLimit
        | FailureCode::HostError
        | FailureCode::WorkerCrashed
        | FailureCode::DeadlineExceeded
        | FailureCode::NoWorker
        | FailureCode::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(well: u32, badly: u32) -> TaskCounts {
        let counts = TaskCounts::default();
        (0..well).for_each(|_| counts.record(None));
        (0..badly).for_each(|_| counts.record(Some(FailureCode::Trap)));
        counts
    }

    #[test]
    fn a_version_that_fails_half_its_tasks_goes_back() {
        assert_eq!(
            counts(5, 5).verdict(&counts(90, 10)),
            Verdict::RollBack { failed: 5, ended: 10 }
        );
        assert_eq!(counts(4, 4).verdict(&counts(10, 0)), Verdict::Undecided, "too few to tell");
    }

    #[test]
    fn one_that_is_no_worse_than_the_last_stays() {
        assert_eq!(counts(10, 10).verdict(&counts(10, 10)), Verdict::Healthy);
        assert_eq!(counts(20, 0).verdict(&counts(0, 0)), Verdict::Healthy);
        assert_eq!(counts(3, 0).verdict(&counts(0, 0)), Verdict::Undecided);
    }

    #[test]
    fn what_the_person_or_the_web_did_is_not_held_against_it() {
        let counts = TaskCounts::default();
        use FailureCode::{Cancelled, InvalidParams, NotFound, RetriesExhausted};
        for code in [InvalidParams, NotFound, RetriesExhausted, Cancelled] {
            (0..10).for_each(|_| counts.record(Some(code)));
        }
        assert_eq!(counts.verdict(&TaskCounts::default()), Verdict::Healthy);
    }
}
