//! What this process has seen of the queue: how many tasks waited, which workers are missing, and since when something is
//! wrong.

use std::collections::{BTreeMap, VecDeque};

use queue::TaskType;

use super::missing::Missing;

/// Samples in an hour, one each five seconds.
const SAMPLES: usize = 720;
/// How long a dead letter is news, in ms.
pub(super) const NEWS_FOR: u64 = 15 * 60_000;

/// One moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// In milliseconds since 1970.
    pub(super) at: u64,
    pub(super) waiting: u64,
}

/// The last dead letter of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastDead {
    pub(super) at: u64,
    pub(super) code: String,
    /// What the plugin or the worker said. It may quote what a person typed.
    pub(super) reason: String,
    /// The server that refused its last request, and how.
    pub(super) failed_request: Option<String>,
}

/// When a problem began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Since {
    /// In milliseconds since 1970.
    pub(super) at: u64,
    /// It was there when this process looked for the first time.
    pub(super) or_earlier: bool,
}

/// What this process has seen.
#[derive(Debug, Default)]
pub(super) struct Trend {
    pub(super) hour: VecDeque<Sample>,
    /// The last dead letter of each type that has some.
    pub(super) dead: BTreeMap<TaskType, LastDead>,
    pub(super) missing: Missing,
    /// Since when each problem is there, by its key.
    since: BTreeMap<String, Since>,
    /// The last look saw what there was to see: Redis answered.
    has_seen: bool,
}

impl Trend {
    /// Adds a sample, and forgets one of an hour ago.
    pub(super) fn add(&mut self, sample: Sample) {
        if self.hour.len() >= SAMPLES {
            self.hour.pop_front();
        }
        self.hour.push_back(sample);
    }

    /// Notes which problems there are, and returns since when each is there. Where Redis did not answer (`is_blind`), those that
    /// are not seen may still be there.
    pub(super) fn note(&mut self, problems: &[String], at: u64, is_blind: bool) -> Vec<Since> {
        let first = Since { at, or_earlier: !self.has_seen && !is_blind };
        self.has_seen = !is_blind;
        if !is_blind {
            self.since.retain(|key, _| problems.contains(key));
        }
        problems.iter().map(|key| *self.since.entry(key.clone()).or_insert(first)).collect()
    }

    /// How many waited `ago_ms` before `at`; none when that was before the first sample.
    pub(super) fn waited(&self, at: u64, ago_ms: u64) -> Option<u64> {
        let then = at.saturating_sub(ago_ms);
        self.hour.front().filter(|first| first.at <= then)?;
        self.hour.iter().rev().find(|sample| sample.at <= then).map(|sample| sample.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut trend = Trend::default();
        assert_eq!(trend.waited(10, 5), None);
        for n in 0..SAMPLES as u64 + 24 {
            trend.add(Sample { at: n * 10, waiting: n });
        }
        assert_eq!(trend.hour.len(), SAMPLES);
        assert_eq!(trend.waited(3_005, 1_000), Some(200));
        assert_eq!(trend.waited(3_005, 2_900), None, "before the first sample");
    }

    #[test]
    fn a_problem_has_a_beginning_until_it_is_over() {
        let mut trend = Trend::default();
        let mut note = |keys: &[&str], at, is_blind| {
            let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
            trend.note(&keys, at, is_blind)
        };
        let since = |at| Since { at, or_earlier: false };
        let or_earlier = |at| Since { at, or_earlier: true };
        assert_eq!(note(&["a"], 5, false), [or_earlier(5)]);
        assert_eq!(note(&["b", "a"], 9, false), [since(9), or_earlier(5)]);
        assert_eq!(note(&[], 10, false), []);
        assert_eq!(note(&["a"], 12, false), [since(12)], "a new one");
        assert_eq!(note(&["redis"], 20, true), [since(20)]);
        let after = note(&["a", "b"], 30, false);
        assert_eq!(after, [since(12), or_earlier(30)], "Redis hid them for a while");
    }
}
