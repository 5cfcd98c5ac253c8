//! Stopping a task.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{TaskId, TaskResult};
use crate::work::finish::FinishItem;

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
        let result = TaskResult::failure("cancelled", "cancelled");
        let item =
            FinishItem { id: id.as_str(), token: "*", op: "cancel", result: &result, retry_ms: -1 };
        let words = self.finish_items(&lane, &[item]).await?;
        Ok(words.iter().any(|word| word == "cancelled" || word == "SIGNALLED"))
    }
}
