//! Stopping a task.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{FailureCode, TaskId, TaskResult, TaskStatus};
use crate::work::ending::Ending;
use crate::work::finish::FinishItem;
use crate::work::reply::FinishReply;

impl TaskQueue {
    /// Stops a task: at once when it waits, by its worker when it runs.
    ///
    /// True when the task was still alive.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn cancel(&self, id: &TaskId) -> Result<bool, RedisError> {
        let Some(lane) = id.lane() else { return Ok(false) };
        let result = TaskResult::failure(FailureCode::Cancelled, "cancelled");
        let item = FinishItem { id: id.as_str(), ending: Ending::Cancelled, result: &result };
        let replies = self.finish_items(&lane, &[item]).await?;
        let alive = |reply: &FinishReply| {
            use FinishReply::{CancelRequested, Ended};
            matches!(reply, CancelRequested | Ended(TaskStatus::Cancelled))
        };
        Ok(replies.iter().any(alive))
    }
}
