//! Workers that were there and are missing, without having stopped by themselves.

use std::collections::BTreeMap;

use queue::TaskQueue;

use super::figures::Snapshot;

/// After an outage of Redis workers write their records again; before this time has passed, in ms, none counts as missing.
const CERTAIN_AFTER: u64 = 10_000;
/// How long a missing worker is news, in ms.
const NEWS_FOR: u64 = 30 * 60_000;
/// Most workers that are remembered.
const MAX_WORKERS: usize = 4_096;

/// The workers that were seen, and when each was missed for the first time, in ms since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Missing {
    seen: BTreeMap<String, Option<u64>>,
    /// As many ran before the first was missed.
    wanted: usize,
}

impl Missing {
    /// Compares the workers of this moment with those that were seen before.
    pub(super) async fn look(mut self, queue: &TaskQueue, now: &Snapshot) -> Self {
        let alive: Vec<&str> = now.workers.iter().map(|worker| worker.worker.as_str()).collect();
        self.note(&alive, now.at);
        let missed: Vec<String> = self.missed().map(|(name, _)| name.to_owned()).collect();
        for name in missed {
            // Where Redis does not answer, the next look asks again.
            if queue.has_stopped(&name).await.unwrap_or(false) {
                self.stopped(&name);
            }
        }
        self
    }

    fn note(&mut self, alive: &[&str], at: u64) {
        for (name, missed) in &mut self.seen {
            let is_alive = alive.contains(&name.as_str());
            *missed = if is_alive { None } else { missed.or(Some(at)) };
        }
        for name in alive {
            if self.seen.len() < MAX_WORKERS {
                self.seen.entry((*name).to_owned()).or_default();
            }
        }
        self.seen.retain(|_, missed| missed.is_none_or(|missed| at < missed + NEWS_FOR));
        self.wanted = self.wanted.max(alive.len());
        // Another one has taken its place, or it is no news any more.
        let is_over = alive.len() >= self.wanted || self.missed().next().is_none();
        if is_over {
            self.seen.retain(|_, missed| missed.is_none());
            self.wanted = alive.len();
        }
    }

    /// It said that it stops: one less is wanted.
    fn stopped(&mut self, name: &str) {
        self.seen.remove(name);
        self.wanted = self.wanted.saturating_sub(1);
    }

    fn missed(&self) -> impl Iterator<Item = (&str, u64)> {
        self.seen.iter().filter_map(|(name, missed)| Some((name.as_str(), (*missed)?)))
    }

    /// Those that are certainly missing, and when each was missed for the first time.
    pub(super) fn certain(&self, at: u64) -> Vec<(&str, u64)> {
        self.missed().filter(|(_, missed)| missed + CERTAIN_AFTER <= at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_missing_until_another_one_takes_its_place() {
        let mut missing = Missing::default();
        missing.note(&["a", "b"], 1_000);
        missing.note(&["a"], 2_000);
        assert_eq!(missing.certain(2_000), [], "perhaps it is only late");
        missing.note(&["a"], 12_000);
        assert_eq!(missing.certain(12_000), [("b", 2_000)]);
        let mut back = missing.clone();
        back.note(&["a", "b"], 13_000);
        assert_eq!(back.certain(40_000), []);
        let mut replaced = missing.clone();
        replaced.note(&["a", "c"], 13_000);
        assert_eq!(replaced.certain(40_000), []);
        replaced.note(&["c"], 14_000);
        assert_eq!(replaced.certain(30_000), [("a", 14_000)], "the next one");
        missing.note(&["a"], 2_000 + NEWS_FOR);
        assert_eq!(missing.certain(2_000 + NEWS_FOR), [], "no news any more");
    }

    #[test]
    fn one_that_stopped_by_itself_is_not_missing() {
        let mut missing = Missing::default();
        missing.note(&["a", "b", "c"], 1_000);
        missing.note(&["a"], 2_000);
        missing.stopped("b");
        assert_eq!(missing.certain(12_000), [("c", 2_000)]);
        missing.note(&["a", "d"], 13_000);
        assert_eq!(missing.certain(13_000), [], "two are wanted, and two are there");
    }
}
