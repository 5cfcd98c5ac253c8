//! While a task waits or runs: its place in line, and what its plugin says of its progress.

use serde::Deserialize;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::task::TaskId;

/// What a plugin said of its progress last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Progress {
    /// A few words.
    pub text: String,
    /// How much is done, 0 to 100.
    pub percent: Option<u8>,
}

impl TaskQueue {
    /// How many tasks of its lane are claimed before this one; none when it does not wait.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn tasks_before(&self, id: &TaskId) -> Result<Option<u64>, RedisError> {
        let Some(lane) = id.lane() else { return Ok(None) };
        redis::cmd("ZRANK")
            .arg(self.keys.queue(&lane))
            .arg(id.as_str())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("look for a task's place"))
    }

    /// What the plugin said last; none when it said nothing that can be read.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn progress(&self, id: &TaskId) -> Result<Option<Progress>, RedisError> {
        let stored: Option<Vec<u8>> = redis::cmd("GET")
            .arg(self.keys.progress(id))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read a task's progress"))?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored).ok()))
    }
}
