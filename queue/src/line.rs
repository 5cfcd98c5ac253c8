//! While a task waits or runs: its place in line, what its plugin says of its progress, and the note that its
//! placeholder is being changed.

use std::time::Duration;

use serde::Deserialize;

use crate::error::RedisError;
use crate::task::TaskId;
use crate::task_queue::{TaskQueue, millis};

/// How often [`TaskQueue::edited`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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

    /// Notes, for `at_most`, that the placeholder is being changed. False, and nothing noted, when the task has a
    /// result: the message belongs to the answer then.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn begin_edit(&self, id: &TaskId, at_most: Duration) -> Result<bool, RedisError> {
        let begun: i64 = self
            .scripts
            .begin_edit
            .key(self.keys.result(id))
            .key(self.keys.editing(id))
            .arg(millis(at_most))
            .run(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("note that a placeholder is being changed"))?;
        Ok(begun == 1)
    }

    /// The placeholder is not being changed any more.
    ///
    /// # Errors
    ///
    /// When Redis does not answer. The note ends by itself then.
    pub async fn end_edit(&self, id: &TaskId) -> Result<(), RedisError> {
        redis::cmd("DEL")
            .arg(self.keys.editing(id))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("note that a placeholder was changed"))
    }

    /// Waits until the placeholder is not being changed any more: as long as the note lasts at most.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn edited(&self, id: &TaskId) -> Result<(), RedisError> {
        loop {
            let editing: bool = redis::cmd("EXISTS")
                .arg(self.keys.editing(id))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("wait for a placeholder's change"))?;
            if !editing {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
