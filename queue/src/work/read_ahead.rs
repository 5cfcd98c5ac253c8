//! How many tasks of a lane are read ahead: only as many as start within a few milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is read ahead should start within this time. A person who asks meanwhile waits no longer than that behind it.
const STARTS_WITHIN: Duration = Duration::from_millis(5);
/// Most tasks read ahead per lane: as many as one call finishes at most.
const AT_MOST: usize = 128;
/// What has not started after this time is given back: another worker may have room.
pub(crate) const GIVE_BACK_AFTER: Duration = Duration::from_millis(50);

/// How long a lane's tasks run: a moving average over about the last eight.
#[derive(Debug)]
pub(crate) struct RunTime {
    /// In ns; 0 before the first.
    average: AtomicU64,
    since: Instant,
    /// When a task ended last, in ms after `since`.
    last_end: AtomicU64,
}

impl RunTime {
    pub(crate) fn new() -> Self {
        Self { average: AtomicU64::new(0), since: Instant::now(), last_end: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A task has ended. If two record at once, one may be lost: the average needs no more.
    pub(crate) fn record(&self, took: Duration) {
        self.last_end.store(self.now(), Ordering::Relaxed);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).clamp(1, u64::MAX / 8);
        let average = match self.average.load(Ordering::Relaxed) {
            0 => took,
            average => (average * 7 + took) / 8,
        };
        self.average.store(average.max(1), Ordering::Relaxed);
    }

    /// Whether a task that runs is likely to end within milliseconds: tasks are short, and one has just ended.
    pub(crate) fn ends_soon(&self) -> bool {
        let quiet =
            Duration::from_millis(self.now().saturating_sub(self.last_end.load(Ordering::Relaxed)));
        self.ahead(1) > 0 && quiet < GIVE_BACK_AFTER
    }

    /// How many tasks to hold unstarted. None for a lane whose tasks are slow or not known yet.
    pub(crate) fn ahead(&self, concurrency: usize) -> usize {
        match self.average.load(Ordering::Relaxed) {
            0 => 0,
            average => {
                let each = u64::try_from(STARTS_WITHIN.as_nanos()).unwrap_or(u64::MAX) / average;
                usize::try_from(each).unwrap_or(AT_MOST).saturating_mul(concurrency).min(AT_MOST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fast_tasks_are_read_ahead() {
        let time = RunTime::new();
        assert_eq!(time.ahead(16), 0, "not known yet");
        time.record(Duration::from_micros(10));
        assert_eq!(time.ahead(16), AT_MOST);
        for _ in 0..100 {
            time.record(Duration::from_millis(2));
        }
        assert_eq!(time.ahead(16), 32);
        time.record(Duration::from_secs(1));
        assert_eq!(time.ahead(16), 0, "one slow task is enough");
    }

    #[test]
    fn tasks_that_were_short_end_soon_unless_none_has_ended_for_a_while() {
        let time = RunTime::new();
        assert!(!time.ends_soon(), "not known yet");
        time.record(Duration::from_micros(10));
        assert!(time.ends_soon());
        std::thread::sleep(GIVE_BACK_AFTER);
        assert!(!time.ends_soon());
    }
}
