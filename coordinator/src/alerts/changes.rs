//! From what is wrong at each look to what is told. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Condition, is_local, is_of_queue};
use super::told::Told;

/// Looks in a row that decide.
const LOOKS: u32 = 2;

/// What a look could see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    /// The state of the queue is known. If not, only what is known without Redis is judged.
    pub(super) all: bool,
    /// Somebody takes tasks. If not, that is the only cause why they wait.
    pub(super) queues: bool,
}

impl Judged {
    fn has(self, cause: &str) -> bool {
        is_local(cause) || (self.all && (self.queues || !is_of_queue(cause)))
    }
}

/// What is to be told after a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change<'a> {
    pub(super) begun: Vec<&'a Condition>,
    pub(super) ended: Vec<String>,
}

/// Counts how long something has been wrong, or has not been any more.
#[derive(Debug, Default)]
pub(super) struct Changes {
    wrong: BTreeMap<String, u32>,
    right: BTreeMap<String, u32>,
}

impl Changes {
    /// One look. `told` is what was told before, by any coordinator. In quiet hours only what is urgent begins; the rest begins
    /// afterwards, if it is still so.
    pub(super) fn look<'a>(
        &mut self,
        wrong: &'a [Condition],
        told: &BTreeMap<String, Told>,
        judged: Judged,
        quiet: bool,
    ) -> Change<'a> {
        let now: BTreeSet<&str> = wrong.iter().map(|condition| condition.cause.as_str()).collect();
        self.wrong.retain(|cause, _| !judged.has(cause) || now.contains(cause.as_str()));
        let mut change = Change::default();
        for condition in wrong {
            let looks = self.wrong.entry(condition.cause.clone()).or_default();
            *looks = looks.saturating_add(1);
            if *looks >= LOOKS
                && !told.contains_key(&condition.cause)
                && (condition.urgent || !quiet)
            {
                change.begun.push(condition);
            }
        }
        self.right.retain(|cause, _| told.contains_key(cause) && !now.contains(cause.as_str()));
        for cause in told.keys().filter(|cause| !now.contains(cause.as_str())) {
            if !judged.has(cause) {
                continue;
            }
            let looks = self.right.entry(cause.clone()).or_default();
            *looks += 1;
            if *looks >= LOOKS {
                change.ended.push(cause.clone());
            }
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Judged = Judged { all: true, queues: true };

    fn wrong(cause: &str, urgent: bool) -> Condition {
        Condition { cause: cause.to_owned(), html: String::new(), urgent, button: None }
    }

    fn told(causes: &[&str]) -> BTreeMap<String, Told> {
        causes.iter().map(|cause| ((*cause).to_owned(), Told::default())).collect()
    }

    fn begun(change: &Change<'_>) -> Vec<String> {
        change.begun.iter().map(|condition| condition.cause.clone()).collect()
    }

    #[test]
    fn what_is_wrong_twice_is_told_once_and_what_is_right_twice_is_over() {
        let mut changes = Changes::default();
        let now = [wrong("queue:a", true)];
        assert_eq!(changes.look(&now, &told(&[]), ALL, false), Change::default());
        assert_eq!(begun(&changes.look(&now, &told(&[]), ALL, false)), ["queue:a"]);
        let known = told(&["queue:a"]);
        assert_eq!(changes.look(&now, &known, ALL, false), Change::default());
        assert_eq!(changes.look(&[], &known, ALL, false), Change::default());
        // It was wrong again in between.
        assert_eq!(changes.look(&now, &known, ALL, false), Change::default());
        assert_eq!(changes.look(&[], &known, ALL, false), Change::default());
        assert_eq!(changes.look(&[], &known, ALL, false).ended, ["queue:a"]);
    }

    #[test]
    fn what_cannot_be_seen_is_neither_begun_nor_over() {
        let mut changes = Changes::default();
        let blind = Judged { all: false, queues: false };
        let known = told(&["queue:a", "local:updates"]);
        changes.look(&[], &known, blind, false);
        let change = changes.look(&[], &known, blind, false);
        assert_eq!(change.ended, ["local:updates"]);
    }

    #[test]
    fn a_queue_is_not_well_because_the_last_worker_has_gone_too() {
        let mut changes = Changes::default();
        let known = told(&["queue:a", "dead:a"]);
        let unattended = Judged { queues: false, ..ALL };
        let now = [wrong("workers", true)];
        changes.look(&now, &known, unattended, false);
        let change = changes.look(&now, &known, unattended, false);
        assert_eq!(
            (begun(&change), change.ended),
            (vec!["workers".to_owned()], vec!["dead:a".to_owned()])
        );
    }

    #[test]
    fn in_quiet_hours_the_rest_waits() {
        let mut changes = Changes::default();
        let now = [wrong("queue:a", true), wrong("dead:a", false)];
        changes.look(&now, &told(&[]), ALL, true);
        assert_eq!(begun(&changes.look(&now, &told(&[]), ALL, true)), ["queue:a"]);
        let known = told(&["queue:a"]);
        assert_eq!(begun(&changes.look(&now, &known, ALL, false)), ["dead:a"]);
    }
}
