//! How a version's tasks ended, and whether a new version does worse than the one before it.

use std::sync::atomic::{AtomicU32, Ordering};

use queue::FailureCode;

/// A new version is watched over so many tasks.
const WATCHED: u32 = 20;
/// Failures before anything is concluded from them.
const AT_LEAST: u32 = 5;
/// How much larger the share of failures may be than that of the version before, in percent.
const MARGIN_PERCENT: u32 = 30;

/// Counts of one version. A task that ended in the same moment may be missed by a look; the next one sees it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ended: AtomicU32,
    failed: AtomicU32,
}

/// What a look at a new version says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is too soon.
    Watch,
    /// It does well enough.
    Keep,
    /// It does worse than the one before.
    RollBack { failed: u32, ended: u32 },
}

impl Tally {
    /// Counts a task by its result's code.
    pub(crate) fn note(&self, code: Option<FailureCode>) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        if code.is_some_and(is_its_own) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> (u32, u32) {
        // Failed first: it is never more than ended then.
        let failed = self.failed.load(Ordering::Relaxed);
        (failed, self.ended.load(Ordering::Relaxed))
    }

    fn percent(&self) -> u32 {
        let (failed, ended) = self.read();
        failed.saturating_mul(100).checked_div(ended).unwrap_or(0)
    }

    /// Compares with the version before.
    pub(crate) fn judge(&self, before: &Self) -> Verdict {
        let (failed, ended) = self.read();
        if AT_LEAST <= failed && before.percent() + MARGIN_PERCENT < self.percent() {
            return Verdict::RollBack { failed, ended };
        }
        if WATCHED <= ended { Verdict::Keep } else { Verdict::Watch }
    }
}

/// Whether a version answers for a failure. It does not for what the person, the web or the operator did.
fn is_its_own(code: FailureCode) -> bool {
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

    fn tally(well: u32, badly: u32) -> Tally {
        let tally = Tally::default();
        (0..well).for_each(|_| tally.note(None));
        (0..badly).for_each(|_| tally.note(Some(FailureCode::Trap)));
        tally
    }

    #[test]
    fn a_version_that_fails_half_its_tasks_goes_back() {
        assert_eq!(tally(5, 5).judge(&tally(90, 10)), Verdict::RollBack { failed: 5, ended: 10 });
        assert_eq!(tally(4, 4).judge(&tally(10, 0)), Verdict::Watch, "too few to tell");
    }

    #[test]
    fn one_that_is_no_worse_than_the_last_stays() {
        assert_eq!(tally(10, 10).judge(&tally(10, 10)), Verdict::Keep);
        assert_eq!(tally(20, 0).judge(&tally(0, 0)), Verdict::Keep);
        assert_eq!(tally(3, 0).judge(&tally(0, 0)), Verdict::Watch);
    }

    #[test]
    fn what_the_person_or_the_web_did_is_not_held_against_it() {
        let tally = Tally::default();
        use FailureCode::{Cancelled, InvalidParams, NotFound, RetriesExhausted};
        for code in [InvalidParams, NotFound, RetriesExhausted, Cancelled] {
            (0..10).for_each(|_| tally.note(Some(code)));
        }
        assert_eq!(tally.judge(&Tally::default()), Verdict::Keep);
    }
}
