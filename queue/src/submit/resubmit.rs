//! What this process submitted a moment ago, and submits again when Redis turns out to be another one.
//!
//! A write that was acknowledged can be lost all the same: a replica takes over before it has received it, a server
//! comes back with what was on its disk a second ago, or with nothing. Whoever submitted remembers its tasks for a
//! minute, looks each second whether the server that owns them is still the same process, and if not submits them once
//! more. An id is accepted once, so only what was lost comes to life again.
//!
//! Nothing of the kind is needed for what happens later to a task: a lost claim or result leaves a task that waits, or a
//! lease that ends, and it runs again; a lost acknowledgement leaves an answer that is shown again in its own place. One
//! lane's keys lie on one server and arrive at its replica in order, so its indexes always fit together.

use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::{RedisError, SubmitError};
use crate::submit::batch::{AT_ONCE, Submitted};
use crate::task::Lane;

impl TaskQueue {
    /// Looks whether the servers that took this process's last tasks are still the same, and submits again what may be
    /// lost. Gives how many were lost.
    ///
    /// # Errors
    ///
    /// When a server does not answer; the next call looks again.
    pub async fn confirm_recent(&self) -> Result<usize, RedisError> {
        let lanes = self.recent(|recent| recent.lanes());
        // Side by side: in a Cluster one lane's node may be away while the others' are there.
        let each = join_all(lanes.iter().map(|lane| self.confirm_lane(lane))).await;
        each.into_iter().try_fold(0, |lost, again| Ok(lost + again?))
    }

    async fn confirm_lane(&self, lane: &Lane) -> Result<usize, RedisError> {
        let asked_at = Instant::now();
        let server: String = self
            .scripts
            .server
            .key(self.keys.meta(lane))
            .run(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("ask who holds a lane"))?;
        let same = self.recent(|recent| match recent.servers.get_mut(lane) {
            Some((known, seen_at)) if *known == server => {
                *seen_at = asked_at;
                true
            }
            _ => false,
        });
        if same {
            return Ok(0);
        }
        // The first look cannot know who it was before: then too.
        let (lost, refused) = self.submit_again(lane).await?;
        if refused == 0 {
            self.recent(|recent| recent.servers.insert(lane.clone(), (server, asked_at)));
        }
        Ok(lost)
    }

    /// How many came to life again, and how many were refused for now.
    async fn submit_again(&self, lane: &Lane) -> Result<(usize, usize), RedisError> {
        let tasks = self.recent(|recent| recent.of_lane(lane));
        let during = || RedisError::during("submit a task again");
        self.add_lane(lane).await.map_err(during())?;
        let mut lost = 0;
        let mut refusals = 0;
        for chunk in tasks.chunks(AT_ONCE) {
            let mut batch = Vec::with_capacity(chunk.len());
            for known in chunk {
                if let Some(action) = &known.before_resubmit {
                    action.run(self.clone()).await?;
                }
                // It was accepted before with just this envelope's limits.
                if let Ok(envelope) = self.envelope(&known.task) {
                    batch.push((&known.task, envelope, known.options));
                }
            }
            let answers = self.submit_batch(lane, &batch).await;
            for ((task, ..), answer) in batch.iter().zip(answers.map_err(refused(during()))?) {
                match answer {
                    Ok(Submitted::New { .. }) => {
                        lost += 1;
                        tracing::warn!(task_id = %task.task_id, "the task was lost with its server and is submitted again");
                    }
                    Ok(Submitted::Already | Submitted::Duplicate { .. }) => {}
                    Err(error) => {
                        refusals += 1;
                        tracing::warn!(task_id = %task.task_id, error = %error, "the task may be lost with its server; trying again");
                    }
                }
            }
        }
        Ok((lost, refusals))
    }
}

fn refused(
    during: impl FnOnce(redis::RedisError) -> RedisError,
) -> impl FnOnce(SubmitError) -> RedisError {
    move |error| {
        during(match error {
            SubmitError::Redis(source) => source,
            other => redis::RedisError::from(std::io::Error::other(other)),
        })
    }
}

/// Looks each [`crate::QueueConfig::sweep_every`] until `shutdown`.
pub async fn confirm_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        // Losing a branch loses nothing: what is remembered stays.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(queue.config.sweep_every) => {}
        }
        if let Err(error) = queue.confirm_recent().await {
            tracing::debug!(error = %error.source, "cannot look whether Redis is still the same");
        }
    }
}
