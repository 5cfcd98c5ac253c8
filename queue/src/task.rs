//! Tasks, results and statuses. Their JSON form is the contract between all processes.

mod clock;
mod failure;
mod id;
pub(crate) mod lane;
mod options;
mod result;
mod status;
mod task_type;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::Members;

pub use clock::now_ms;
pub use failure::{FailureCode, UnknownFailureCode};
pub use id::{InvalidTaskId, MAX_TASK_ID_BYTES, TaskId};
pub use lane::Lane;
pub use options::{Band, SubmitOptions};
pub use result::{FAILED_REQUEST, TaskResult};
pub use status::TaskStatus;
pub use task_type::{InvalidTaskType, MAX_TASK_TYPE_BYTES, TaskType};

fn first_attempt() -> u32 {
    1
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The task's id.
    pub task_id: TaskId,
    /// The sender: the messenger's numeric user id.
    pub user_id: i64,
    /// The kind of work.
    pub task_type: TaskType,
    /// The input: a JSON object that the plugin's schema describes.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// When it was submitted, in milliseconds since 1970 by the submitter's clock. For people only; nothing depends on it.
    #[serde(default)]
    pub submitted_at: u64,
    /// The deadline in milliseconds since 1970 by Redis' clock, once it is claimed, and 0 before. The binding one is stored beside the task.
    #[serde(default)]
    pub deadline_at: u64,
    /// 1 for the first attempt.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// Where the answer goes: opaque data that the submitter gets back with it. Absent when the submitter waits for the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Value>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The pub/sub channel of the process that waits for the result, set by that process. It begins like a task's own channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_channel: Option<String>,
}

impl Task {
    /// A task with a new id, the default deadline and no `reply_to`.
    pub fn new(task_type: TaskType, user_id: i64, params: Map<String, Value>) -> Self {
        Self {
            task_id: TaskId::new(&Lane::whole(&task_type)),
            user_id,
            task_type,
            params,
            submitted_at: 0,
            deadline_at: 0,
            attempt: 1,
            reply_to: None,
            traceparent: None,
            done_channel: None,
        }
    }

    /// As [`Task::new`], in a given lane.
    pub fn in_lane(lane: &Lane, user_id: i64, params: Map<String, Value>) -> Self {
        let mut task = Self::new(lane.task_type().clone(), user_id, params);
        task.task_id = TaskId::new(lane);
        task
    }

    /// The task's lane: that in its id, unless another producer chose the id.
    pub fn lane(&self) -> Lane {
        let lane = self.task_id.lane().filter(|lane| *lane.task_type() == self.task_type);
        lane.unwrap_or_else(|| Lane::whole(&self.task_type))
    }

    /// Reads the sender and `reply_to` from a task's JSON that cannot be read as a whole. For an answer that says so; such a task
    /// must not be run.
    pub(crate) fn salvage(json: &[u8]) -> Option<Self> {
        let members = Members::of(json).ok()?;
        let task_id = members.need("task_id").ok()?;
        let task_type = members.need("task_type").ok()?;
        let user_id = members.may("user_id").unwrap_or(0);
        let reply_to = members.may("reply_to");
        Some(Self { task_id, reply_to, ..Self::new(task_type, user_id, Map::new()) })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
