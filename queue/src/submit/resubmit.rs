//! Submits recent tasks again when their Redis server was replaced by another process.
//!
//! An acknowledged write can be lost: a replica takes over before it has received it, or a server restarts with older data
//! or none. So a process keeps the tasks that it submitted for a minute. Every second it checks whether the server that owns
//! them is still the same process. If not, it submits them again. An id is accepted once, so only lost tasks are restored.
//!
//! Later steps of a task need no such care. After a lost claim or result the task still waits, or its lease ends, and it
//! runs again. After a lost acknowledgement the same message shows the answer again. All keys of a lane are on one server
//! and reach its replica in order, so the indexes stay consistent.

use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::resubmit_buffer::ResubmitBuffer;
use crate::client::task_queue::TaskQueue;
use crate::error::{RedisError, SubmitError};
use crate::submit::batch::{MAX_BATCH, Submitted};
use crate::task::Lane;

impl TaskQueue {
    /// Checks whether the servers that accepted this process's recent tasks were replaced, and submits their tasks again.
    /// Returns how many tasks had been lost.
    ///
    /// # Errors
    ///
    /// A server does not answer; the next call checks again.
    pub async fn confirm_recent(&self) -> Result<usize, RedisError> {
        let lanes = self.resubmit_buffer(ResubmitBuffer::lanes);
        // In parallel: in a Cluster one lane's node may be down while others are up.
        let each = join_all(lanes.iter().map(|lane| self.confirm_lane(lane))).await;
        each.into_iter().try_fold(0, |lost, again| Ok(lost + again?))
    }

    async fn confirm_lane(&self, lane: &Lane) -> Result<usize, RedisError> {
        let checked_at = Instant::now();
        let server: String = self
            .scripts
            .server
            .key(self.keys.meta(lane))
            .run(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read a server's run id"))?;
        let same = self.resubmit_buffer(|buffer| match buffer.servers.get_mut(lane) {
            Some((process, seen_at)) if *process == server => {
                *seen_at = checked_at;
                true
            }
            _ => false,
        });
        if same {
            return Ok(0);
        }
        // Also at the first check, when the earlier process is unknown.
        let (lost, refusals) = self.resubmit_lane(lane).await?;
        if refusals == 0 {
            self.resubmit_buffer(|buffer| {
                buffer.servers.insert(lane.clone(), (server, checked_at))
            });
        }
        Ok(lost)
    }

    /// Returns how many tasks had been lost, and how many were refused for now.
    async fn resubmit_lane(&self, lane: &Lane) -> Result<(usize, usize), RedisError> {
        let tasks = self.resubmit_buffer(|buffer| buffer.of_lane(lane));
        let during = || RedisError::during("submit a task again");
        self.add_lanes(std::slice::from_ref(lane)).await.map_err(during())?;
        let mut lost = 0;
        let mut refusals = 0;
        for chunk in tasks.chunks(MAX_BATCH) {
            let mut batch = Vec::with_capacity(chunk.len());
            for buffered in chunk {
                if let Some(action) = &buffered.before_resubmit {
                    action.run(self.clone()).await?;
                }
                // It fitted the limits before.
                if let Ok(envelope) = self.envelope(&buffered.task) {
                    batch.push((&buffered.task, envelope, buffered.options));
                }
            }
            let outcomes = self.submit_batch(lane, &batch).await;
            for ((task, ..), outcome) in
                batch.iter().zip(outcomes.map_err(as_redis_error(during()))?)
            {
                match outcome {
                    Ok(Submitted::New { .. }) => {
                        lost += 1;
                        tracing::warn!(task_id = %task.task_id, "a task was lost with its server; submitted again");
                    }
                    Ok(Submitted::Already | Submitted::Duplicate { .. }) => {}
                    Err(error) => {
                        refusals += 1;
                        tracing::warn!(task_id = %task.task_id, error = %error, "a task may be lost with its server and cannot be submitted yet; trying again");
                    }
                }
            }
        }
        Ok((lost, refusals))
    }
}

fn as_redis_error(
    during: impl FnOnce(redis::RedisError) -> RedisError,
) -> impl FnOnce(SubmitError) -> RedisError {
    move |error| {
        during(match error {
            SubmitError::Redis(source) => source,
            other => redis::RedisError::from(std::io::Error::other(other)),
        })
    }
}

/// Calls [`TaskQueue::confirm_recent`] every [`crate::QueueConfig::sweep_every`] until `shutdown`.
pub async fn confirm_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        // A dropped branch loses nothing: the buffer keeps the tasks.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(queue.config.sweep_every) => {}
        }
        if let Err(error) = queue.confirm_recent().await {
            tracing::debug!(error = %error.source, "cannot check whether Redis was replaced");
        }
    }
}
