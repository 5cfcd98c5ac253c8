//! What this process submitted a moment ago, with its limits. [`crate::submit`] submits it again when it is lost.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::task::{Lane, SubmitOptions, Task, TaskId};

/// How long a task is remembered: longer than a failover takes to be seen.
const REMEMBER: Duration = Duration::from_secs(60);
/// Tasks remembered at most, and their bytes; the oldest are forgotten first.
const AT_MOST: usize = 20_000;
const BYTES_AT_MOST: usize = 32 * 1024 * 1024;

/// The tasks. Nothing is remembered before somebody looks after them. `A` is what is done before a task is submitted again.
#[derive(Debug)]
pub(crate) struct Recent<A> {
    looked_after: bool,
    tasks: HashMap<TaskId, Remembered<A>>,
    /// Oldest first; an id that was forgotten meanwhile stays until its time.
    order: VecDeque<(Instant, TaskId)>,
    bytes: usize,
    /// Which process owned a lane's keys at the last look, and when that was.
    pub(crate) servers: HashMap<Lane, (String, Instant)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Remembered<A> {
    pub(crate) task: Task,
    pub(crate) options: SubmitOptions,
    bytes: usize,
    pub(crate) before_resubmit: Option<A>,
}

impl<A> Default for Recent<A> {
    fn default() -> Self {
        Self {
            looked_after: false,
            tasks: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            servers: HashMap::new(),
        }
    }
}

impl<A: Clone> Recent<A> {
    /// Remembers a task that takes `bytes` as JSON.
    pub(crate) fn remember(&mut self, task: &Task, options: SubmitOptions, bytes: usize) {
        if !self.looked_after {
            return;
        }
        self.forget(&task.task_id);
        self.bytes += bytes;
        self.order.push_back((Instant::now(), task.task_id.clone()));
        let remembered = Remembered { task: task.clone(), options, bytes, before_resubmit: None };
        self.tasks.insert(task.task_id.clone(), remembered);
        while self.order.len() > AT_MOST || self.bytes > BYTES_AT_MOST {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.forget(&oldest);
        }
    }

    /// Sets the action that runs before a task is submitted again, if the task is remembered.
    pub(crate) fn before_resubmit(&mut self, id: &TaskId, action: A) {
        if let Some(found) = self.tasks.get_mut(id) {
            found.before_resubmit = Some(action);
        }
    }

    /// Forgets a task that was answered.
    pub(crate) fn forget(&mut self, id: &TaskId) {
        if let Some(forgotten) = self.tasks.remove(id) {
            self.bytes = self.bytes.saturating_sub(forgotten.bytes);
        }
    }

    /// The lanes with tasks that are still remembered. A task is old enough to be forgotten when its server was seen
    /// to be the same that much later: while Redis is away nothing is forgotten.
    pub(crate) fn lanes(&mut self) -> BTreeSet<Lane> {
        self.looked_after = true;
        let Self { tasks, servers, .. } = self;
        let old: Vec<TaskId> = self
            .order
            .iter()
            .filter(|(at, id)| {
                tasks.get(id).is_none_or(|known| {
                    let seen = servers.get(&known.task.lane());
                    seen.is_some_and(|(_, seen_at)| *at + REMEMBER < *seen_at)
                })
            })
            .map(|(_, id)| id.clone())
            .collect();
        old.iter().for_each(|id| self.forget(id));
        self.order.retain(|(_, id)| self.tasks.contains_key(id));
        self.tasks.values().map(|known| known.task.lane()).collect()
    }

    /// The tasks of a lane in the order of their submits.
    pub(crate) fn of_lane(&self, lane: &Lane) -> Vec<Remembered<A>> {
        let known = self.order.iter().filter_map(|(_, id)| self.tasks.get(id));
        known.filter(|known| known.task.lane() == *lane).cloned().collect()
    }
}
