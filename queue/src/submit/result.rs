//! Waiting for one task's result.

use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::error::WaitError;
use crate::redis::subscription::Subscription;
use crate::task::{TaskId, TaskResult};

/// A notice can be lost with its connection; the result is looked at again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl TaskQueue {
    /// The result of `id`, waiting at most `timeout` for it; none when it is not there by then.
    ///
    /// A result that is stored while the subscription begins is not missed. A Redis that goes away meanwhile is waited
    /// for as well.
    ///
    /// # Errors
    ///
    /// [`WaitError`], also when Redis is away at the end. Waiting again is safe.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    pub async fn get_result(
        &self,
        id: &TaskId,
        timeout: Duration,
    ) -> Result<Option<TaskResult>, WaitError> {
        let until = Instant::now() + timeout;
        let mut notices = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.stored_result(id).await {
                Ok(Some(result)) => return Ok(Some(result)),
                Ok(None) if left.is_zero() => return Ok(None),
                Err(WaitError::Redis { source, .. }) if passes(&source) && !left.is_zero() => {
                    tracing::debug!(task_id = %id, error = %source, "a result is waited for without Redis");
                }
                Ok(None) => {}
                Err(error) => return Err(error),
            }
            let listening = notices.get_or_insert_with(|| {
                let channel = format!("{}{id}", self.keys.done_channel_prefix());
                Subscription::start(self.server.clone(), channel)
            });
            // A time-out means the same as a notice: look again.
            let _ = tokio::time::timeout(left.min(LOOK_AGAIN), listening.notice()).await;
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

/// Whether trouble with Redis may be over soon.
fn passes(error: &redis::RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, TryAgain};
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | TryAgain)
    )
}
