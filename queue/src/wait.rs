//! Waiting for one task's result.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::error::WaitError;
use crate::task::{TaskId, TaskResult};
use crate::task_queue::TaskQueue;

/// A notice can be lost with its connection; the result is looked at again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl TaskQueue {
    /// The result of `id`, waiting at most `timeout` for it; none when it is not there by then.
    ///
    /// Subscribes first and looks then, so a result that is stored in between is not missed.
    ///
    /// # Errors
    ///
    /// [`WaitError`]. Waiting again is safe.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn get_result(
        &self,
        id: &TaskId,
        timeout: Duration,
    ) -> Result<Option<TaskResult>, WaitError> {
        if let Some(result) = self.stored_result(id).await? {
            return Ok(Some(result));
        }
        if timeout.is_zero() {
            return Ok(None);
        }
        let until = Instant::now() + timeout;
        let redis_error = |source| WaitError::Redis { task_id: id.clone(), source };
        let channel = format!("{}{id}", self.keys.done_channel_prefix());
        let listening = async {
            let mut notices = self.server.pubsub().await?;
            notices.subscribe(&channel).await?;
            redis::RedisResult::Ok(notices)
        };
        let Ok(notices) = tokio::time::timeout_at(until, listening).await else {
            return self.stored_result(id).await;
        };
        let mut notices = notices.map_err(redis_error)?.into_on_message();
        loop {
            if let Some(result) = self.stored_result(id).await? {
                return Ok(Some(result));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // A time-out and an ended subscription both mean: look again.
            if let Ok(None) = tokio::time::timeout(left.min(LOOK_AGAIN), notices.next()).await {
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        }
    }

    async fn stored_result(&self, id: &TaskId) -> Result<Option<TaskResult>, WaitError> {
        let json: Option<Vec<u8>> = redis::cmd("GET")
            .arg(self.keys.result(id))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(|source| WaitError::Redis { task_id: id.clone(), source })?;
        json.map(|json| serde_json::from_slice(&json))
            .transpose()
            .map_err(|source| WaitError::Json { task_id: id.clone(), source })
    }
}
