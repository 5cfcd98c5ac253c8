//! Where one task is.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::{TaskId, TaskStatus};

impl TaskQueue {
    /// Where a task is. None for an id that was never seen, or that ended more than five minutes ago.
    ///
    /// Redis holds a word for a task that has ended or waits for a retry, and for one that nobody wants a reply of;
    /// whether a task waits or runs is seen from the indexes, which saves a write per task.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn task_status(&self, id: &TaskId) -> Result<Option<TaskStatus>, RedisError> {
        let failed = RedisError::during("read a task's status");
        let mut connection = self.connection.clone();
        let Some(lane) = id.lane() else {
            // An id that another producer made up does not say where its indexes are.
            let word: redis::RedisResult<Option<String>> =
                redis::cmd("GET").arg(self.keys.status(id)).query_async(&mut connection).await;
            return Ok(word.map_err(failed)?.and_then(|word| word.parse().ok()));
        };
        let (word, alive, lease): (Option<String>, bool, Option<f64>) = redis::pipe()
            .get(self.keys.status(id))
            .hexists(self.keys.data(&lane), id.as_str())
            .zscore(self.keys.active(&lane), id.as_str())
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        let stored = word.and_then(|word| word.parse::<TaskStatus>().ok());
        Ok(match stored {
            _ if lease.is_some() => Some(TaskStatus::Processing),
            None if alive => Some(TaskStatus::Pending),
            stored => stored,
        })
    }
}
