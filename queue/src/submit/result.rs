//! Waiting for a task's result.

use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::client::waits::{News, Over, Wait};
use crate::error::WaitError;
use crate::redis::time::from_now;
use crate::submit::batch::Submitted;
use crate::task::{Task, TaskId, TaskResult};

/// After how long without a message the result is looked for: at first, and at most. A message can be lost.
const LOOK_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

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
        let until = from_now(timeout);
        match self.stored_result(id).await {
            Ok(None) if !timeout.is_zero() => {}
            Err(error) if !timeout.is_zero() && error.is_temporary() => {}
            answered => return answered,
        }
        let wait = self.waits.begin(id, Over::TaskChannel);
        self.wait_for_result(id, wait, until).await
    }

    /// Submits a task and waits for its result.
    pub(crate) async fn submit_and_wait(
        &self,
        task: &Task,
        timeout: Duration,
    ) -> Result<Option<TaskResult>, WaitError> {
        let until = from_now(timeout);
        // Before the submit, so that nothing is missed.
        let wait = self.waits.begin(&task.task_id, Over::ProcessChannel);
        let mut task = task.clone();
        task.done_channel = Some(self.waits.channel().to_owned());
        let submitted = self.submit_task(&task).await;
        match submitted {
            Ok(Submitted::New { .. }) => self.wait_for_result(&task.task_id, wait, until).await,
            // The task that was accepted carries another channel.
            Ok(Submitted::Already) => self.get_result(&task.task_id, left(until)).await,
            Ok(Submitted::Duplicate { of }) => self.get_result(&of, left(until)).await,
            Err(source) => Err(WaitError::Submit { task_id: task.task_id, source }),
        }
    }

    async fn wait_for_result(
        &self,
        id: &TaskId,
        mut wait: Wait,
        until: Instant,
    ) -> Result<Option<TaskResult>, WaitError> {
        let mut look_after = LOOK_AFTER.0;
        loop {
            let left = left(until);
            let news = tokio::time::timeout(left.min(look_after), wait.news()).await;
            // A result that cannot be read is read again where it is stored: only that counts.
            if let Ok(News::Ended(json)) = &news
                && let Ok(result) = serde_json::from_slice(json)
            {
                return Ok(Some(result));
            }
            if news.is_err() {
                look_after = (look_after * 2).min(LOOK_AFTER.1);
            }
            match self.stored_result(id).await {
                Ok(Some(result)) => return Ok(Some(result)),
                Ok(None) if left.is_zero() => return Ok(None),
                Ok(None) => {}
                Err(error) if error.is_temporary() && !left.is_zero() => {
                    tracing::debug!(task_id = %id, error = %error, "waiting for a result while Redis does not answer");
                }
                Err(error) => return Err(error),
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

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

impl WaitError {
    /// Whether it may be over soon.
    fn is_temporary(&self) -> bool {
        use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, TryAgain};
        let Self::Redis { source, .. } = self else { return false };
        matches!(
            source.kind(),
            ErrorKind::Io
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | TryAgain)
        )
    }
}
