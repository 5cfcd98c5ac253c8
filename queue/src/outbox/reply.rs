//! One entry of the outbox.

use std::time::Duration;

use redis::streams::StreamId;

use crate::task::{FailureCode, Lane, Task, TaskResult, TaskStatus, now_ms};

/// The outbox's consumer group.
pub(super) const GROUP: &str = "coordinator";

/// One answer to send.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The lane it came from.
    pub lane: Lane,
    /// Its stream id in the outbox.
    pub entry: String,
    /// The task, with `reply_to`.
    pub task: Task,
    /// How it ended.
    pub status: TaskStatus,
    /// The answer.
    pub result: TaskResult,
}

impl Reply {
    /// How long it has been in the outbox, by this machine's clock.
    pub fn age(&self) -> Duration {
        let stored = self.entry.split('-').next().and_then(|ms| ms.parse().ok());
        Duration::from_millis(stored.map_or(0, |stored| now_ms().saturating_sub(stored)))
    }
}

pub(super) fn read_entry(lane: &Lane, entry: &StreamId) -> Option<Reply> {
    let status: String = entry.get("state")?;
    let task: Vec<u8> = entry.get("task")?;
    let result: Vec<u8> = entry.get("result").unwrap_or_default();
    // The sender gets an answer even when the rest of the task cannot be read.
    let task = serde_json::from_slice(&task).ok().or_else(|| Task::salvage(&task))?;
    let result = serde_json::from_slice(&result).unwrap_or_else(|_| {
        TaskResult::failure(FailureCode::InvalidOutput, "the stored result cannot be read")
    });
    Some(Reply {
        lane: lane.clone(),
        entry: entry.id.clone(),
        task,
        status: status.parse().ok()?,
        result,
    })
}
