//! Tasks that this process submitted in the last minute. [`crate::submit`] submits them again when Redis lost them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::task::{Lane, SubmitOptions, Task, TaskId};

/// How long a task is kept: longer than it takes to notice a failover.
const KEEP_FOR: Duration = Duration::from_secs(60);
/// Limits of the buffer; the oldest tasks are dropped first.
const MAX_TASKS: usize = 20_000;
/// See [`MAX_TASKS`].
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The tasks, and the servers that took them. `A` is the action that runs before a task is submitted again.
#[derive(Debug)]
pub(crate) struct ResubmitBuffer<A> {
    /// Off until [`ResubmitBuffer::lanes`] is called, because otherwise nothing would remove old tasks.
    enabled: bool,
    tasks: HashMap<TaskId, BufferedTask<A>>,
    /// Oldest first. An id that was removed early stays here until its time.
    order: VecDeque<(Instant, TaskId)>,
    bytes: usize,
    /// For each lane, the server process that had its keys at the last check, and the time of that check.
    pub(crate) servers: HashMap<Lane, (String, Instant)>,
}

#[derive(Debug, Clone)]
pub(crate) struct BufferedTask<A> {
    pub(crate) task: Task,
    pub(crate) options: SubmitOptions,
    bytes: usize,
    pub(crate) before_resubmit: Option<A>,
}

impl<A> Default for ResubmitBuffer<A> {
    fn default() -> Self {
        Self {
            enabled: false,
            tasks: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            servers: HashMap::new(),
        }
    }
}

impl<A: Clone> ResubmitBuffer<A> {
    /// Adds a task; `bytes` is its size as JSON.
    pub(crate) fn add(&mut self, task: &Task, options: SubmitOptions, bytes: usize) {
        if !self.enabled {
            return;
        }
        self.remove(&task.task_id);
        self.bytes += bytes;
        self.order.push_back((Instant::now(), task.task_id.clone()));
        let buffered = BufferedTask { task: task.clone(), options, bytes, before_resubmit: None };
        self.tasks.insert(task.task_id.clone(), buffered);
        while self.order.len() > MAX_TASKS || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.remove(&oldest);
        }
    }

    /// Sets the action that runs before a task is submitted again, if the task is in the buffer.
    pub(crate) fn before_resubmit(&mut self, id: &TaskId, action: A) {
        if let Some(found) = self.tasks.get_mut(id) {
            found.before_resubmit = Some(action);
        }
    }

    /// Removes a task that was answered.
    pub(crate) fn remove(&mut self, id: &TaskId) {
        if let Some(removed) = self.tasks.remove(id) {
            self.bytes = self.bytes.saturating_sub(removed.bytes);
        }
    }

    /// Removes old tasks, and returns the lanes of the others. A task is old when its server was seen unchanged
    /// [`KEEP_FOR`] after the submit: while Redis is down, no task grows old.
    pub(crate) fn lanes(&mut self) -> BTreeSet<Lane> {
        self.enabled = true;
        let Self { tasks, servers, .. } = self;
        let old: Vec<TaskId> = self
            .order
            .iter()
            .filter(|(at, id)| {
                tasks.get(id).is_none_or(|buffered| {
                    let seen = servers.get(&buffered.task.lane());
                    seen.is_some_and(|(_, seen_at)| *at + KEEP_FOR < *seen_at)
                })
            })
            .map(|(_, id)| id.clone())
            .collect();
        old.iter().for_each(|id| self.remove(id));
        self.order.retain(|(_, id)| self.tasks.contains_key(id));
        self.tasks.values().map(|buffered| buffered.task.lane()).collect()
    }

    /// The tasks of a lane in the order of their submits.
    pub(crate) fn of_lane(&self, lane: &Lane) -> Vec<BufferedTask<A>> {
        let buffered = self.order.iter().filter_map(|(_, id)| self.tasks.get(id));
        buffered.filter(|buffered| buffered.task.lane() == *lane).cloned().collect()
    }
}
