//! Waiting for one task's result.

use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::error::WaitError;
use crate::redis::subscription::Subscription;
use crate::task::{TaskId, TaskResult};

/// How often the result is read at least: a notice can be lost with its connection.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl TaskQueue {
    /// Waits for the result of `id`; none when there is none after `timeout`.
    ///
    /// A result that is stored while the subscription begins is not missed. If Redis goes down meanwhile, it is waited for.
    ///
    /// # Errors
    ///
    /// [`WaitError`], also when Redis is down at the end. Waiting again is safe.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(queue: queue::TaskQueue, id: queue::TaskId) -> Result<(), queue::WaitError> {
    /// match queue.get_result(&id, Duration::from_secs(10)).await? {
    ///     Some(result) if result.success => println!("{}", result.data),
    ///     Some(result) => println!("failed: {}", result.error.unwrap_or_default()),
    ///     None => println!("not ready after 10 s"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
                Err(WaitError::Redis { source, .. })
                    if is_temporary(&source) && !left.is_zero() =>
                {
                    tracing::debug!(task_id = %id, error = %source, "waiting for a result while Redis does not answer");
                }
                Ok(None) => {}
                Err(error) => return Err(error),
            }
            let subscription = notices.get_or_insert_with(|| {
                let channel = format!("{}{id}", self.keys.done_channel_prefix());
                Subscription::start(self.server.clone(), channel)
            });
            // After a notice and after a time-out alike: read again.
            let _ = tokio::time::timeout(left.min(POLL_INTERVAL), subscription.notice()).await;
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

/// Whether an error may be over soon.
fn is_temporary(error: &redis::RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, TryAgain};
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | TryAgain)
    )
}
