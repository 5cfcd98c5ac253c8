//! One unit of work.

use crate::random::Random;

/// What the host hands over with the params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Unique over all workers: for logs, and for services that take a key against repeated requests.
    pub id: String,
    /// One of the plugin's task types.
    pub task_type: String,
    /// The messenger's number of who asks.
    pub user_id: i64,
    /// The params as JSON. They fit the schema of the task type.
    pub params: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Milliseconds until the person is told that it took too long.
    pub time_left_ms: u64,
    /// A number by chance, new for each task.
    pub seed: u64,
    /// W3C trace context, if the request is traced.
    pub traceparent: Option<String>,
}

impl Task {
    /// Random numbers of this task. Two calls give the same ones.
    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }
}
