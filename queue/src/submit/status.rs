//! The status of one task.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{TaskId, TaskStatus};

impl TaskQueue {
    /// The status of a task; none for an id that was never seen, or whose task ended more than
    /// [`crate::QueueConfig::keep_results`] ago.
    ///
    /// Redis stores a status for a task that has ended, waits for a retry, or wants no reply. Otherwise the indexes show
    /// whether the task waits or runs, which saves a write per task.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn task_status(&self, id: &TaskId) -> Result<Option<TaskStatus>, RedisError> {
        let failed = RedisError::during("read a task's status");
        let mut connection = self.connection.clone();
        let Some(lane) = id.lane() else {
            // Another producer's id does not name the lane.
            let word: redis::RedisResult<Option<String>> =
                redis::cmd("GET").arg(self.keys.status(id)).query_async(&mut connection).await;
            return Ok(word.map_err(failed)?.and_then(|word| word.parse().ok()));
        };
        let (word, live, lease): (Option<String>, bool, Option<f64>) = redis::pipe()
            .get(self.keys.status(id))
            .hexists(self.keys.data(&lane), id.as_str())
            .zscore(self.keys.active(&lane), id.as_str())
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        let stored = word.and_then(|word| word.parse::<TaskStatus>().ok());
        Ok(match stored {
            _ if lease.is_some() => Some(TaskStatus::Processing),
            None if live => Some(TaskStatus::Pending),
            stored => stored,
        })
    }
}
