//! A task's position in the queue while it waits, and its progress while it runs.

use serde::Deserialize;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::TaskId;

/// The latest progress that a plugin reported.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Progress {
    /// A short text.
    pub text: String,
    /// Percentage done, 0 to 100.
    pub percent: Option<u8>,
}

impl TaskQueue {
    /// How many tasks of its lane will be claimed before this one; none when it is not in the queue.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn tasks_before(&self, id: &TaskId) -> Result<Option<u64>, RedisError> {
        let Some(lane) = id.lane() else { return Ok(None) };
        redis::cmd("ZRANK")
            .arg(self.keys.queue(&lane))
            .arg(id.as_str())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read a task's position"))
    }

    /// The latest progress; none when there is none that can be read.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn progress(&self, id: &TaskId) -> Result<Option<Progress>, RedisError> {
        let stored: Option<Vec<u8>> = redis::cmd("GET")
            .arg(self.keys.progress(id))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read a task's progress"))?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored).ok()))
    }
}
