//! What somebody is about to do to many tasks: counted first, then asked, then done to what was counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use queue::{TaskId, TaskType};

use super::sessions::{Viewer, same, secret};

/// What was counted may be done for this long.
const GOOD_FOR: Duration = Duration::from_secs(10 * 60);
/// Most plans at the same time; the oldest is forgotten.
const MAX_PLANS: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Dead letters, by their type and entry, submitted again.
    Replay(Vec<(TaskType, String)>),
    /// Dead letters, removed.
    Discard(Vec<(TaskType, String)>),
    /// Tasks, cancelled.
    Cancel(Vec<TaskId>),
}

/// A plan that waits for an answer.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) work: Work,
    /// What was counted, in words.
    pub(super) of: String,
    /// The page to go to afterwards.
    pub(super) back: String,
    owner: String,
    until: Instant,
}

impl Plan {
    /// How many were counted.
    pub(super) fn count(&self) -> usize {
        match &self.work {
            Work::Replay(letters) | Work::Discard(letters) => letters.len(),
            Work::Cancel(ids) => ids.len(),
        }
    }

    /// The work as one word.
    pub(super) fn verb(&self) -> &'static str {
        match self.work {
            Work::Replay(..) => "replay",
            Work::Discard(..) => "discard",
            Work::Cancel(_) => "cancel",
        }
    }
}

/// The plans that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Plans {
    plans: Mutex<HashMap<String, Arc<Plan>>>,
}

impl Plans {
    /// Keeps a plan of `viewer` from `now` on, and returns its id.
    pub(super) fn keep(
        &self,
        viewer: &Viewer,
        work: Work,
        of: String,
        back: String,
        now: Instant,
    ) -> String {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|_, plan| now < plan.until);
        if plans.len() >= MAX_PLANS {
            let oldest = plans.iter().min_by_key(|(_, plan)| plan.until);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                plans.remove(&oldest);
            }
        }
        let id = secret();
        let owner = viewer.csrf.clone();
        let plan = Plan { work, of, back, owner, until: now + GOOD_FOR };
        plans.insert(id.clone(), Arc::new(plan));
        id
    }

    /// A plan of this viewer; none when it was too long ago.
    pub(super) fn find(&self, viewer: &Viewer, id: &str, now: Instant) -> Option<Arc<Plan>> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.get(id)?;
        (now < plan.until && same(&plan.owner, &viewer.csrf)).then(|| Arc::clone(plan))
    }

    /// Takes a plan, so that it is carried out once.
    pub(super) fn take(&self, viewer: &Viewer, id: &str, now: Instant) -> Option<Arc<Plan>> {
        let found = self.find(viewer, id, now)?;
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).remove(id).map(|_| found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::sessions::Role;

    fn viewer(csrf: &str) -> Viewer {
        let name = "ada".to_owned();
        Viewer { name, role: Role::Admin, csrf: csrf.to_owned(), session: None }
    }

    #[test]
    fn a_plan_is_carried_out_once_by_whom_it_was_made_for_and_in_time() {
        let plans = Plans::default();
        let now = Instant::now();
        let keep =
            || plans.keep(&viewer("a"), Work::Cancel(vec![]), String::new(), String::new(), now);
        let id = keep();
        assert!(plans.take(&viewer("b"), &id, now).is_none(), "another person's");
        assert!(plans.take(&viewer("a"), &id, now).is_some());
        assert!(plans.take(&viewer("a"), &id, now).is_none(), "a second time");
        let id = keep();
        assert!(plans.find(&viewer("a"), &id, now + GOOD_FOR - Duration::from_secs(1)).is_some());
        assert!(plans.find(&viewer("a"), &id, now + GOOD_FOR).is_none());
    }
}
