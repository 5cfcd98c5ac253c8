//! Cancelling a task.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{FailureCode, TaskId, TaskResult, TaskStatus};
use crate::work::ending::Ending;
use crate::work::finish::FinishItem;
use crate::work::reply::FinishReply;

impl TaskQueue {
    /// Cancels a task: at once while it waits, through its worker while it runs. Returns whether the task was still live.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn cancel(&self, id: &TaskId) -> Result<bool, RedisError> {
        let Some(lane) = id.lane() else { return Ok(false) };
        let result = TaskResult::failure(FailureCode::Cancelled, "cancelled");
        let ending = Ending::Cancelled;
        let item = FinishItem { id: id.as_str(), ending, result: &result, done_channel: None };
        let replies = self.finish_unheld(&lane, &[item]).await?;
        let live = |reply: &FinishReply| {
            use FinishReply::{CancelRequested, Ended};
            matches!(reply, CancelRequested | Ended(TaskStatus::Cancelled))
        };
        Ok(replies.iter().any(live))
    }
}
