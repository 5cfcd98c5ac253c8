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

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::{RedisError, SubmitError};
use crate::submit::{AT_ONCE, SubmitOptions, Submitted, read_answer};
use crate::task::lane::Lane;
use crate::task::{Task, TaskId};

/// How long a task is remembered: longer than a failover takes to be seen.
const REMEMBER: Duration = Duration::from_secs(60);
/// Tasks remembered at most, and their bytes; the oldest are forgotten first.
const AT_MOST: usize = 20_000;
const BYTES_AT_MOST: usize = 32 * 1024 * 1024;

/// The tasks. Nothing is remembered before somebody looks after them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    looked_after: bool,
    tasks: HashMap<TaskId, Remembered>,
    /// Oldest first; an id that was forgotten meanwhile stays until its time.
    order: VecDeque<(Instant, TaskId)>,
    bytes: usize,
    /// Which process owned a lane's keys at the last look, and when that was.
    servers: HashMap<Lane, (String, Instant)>,
}

#[derive(Debug, Clone)]
struct Remembered {
    task: Task,
    options: SubmitOptions,
    bytes: usize,
    placeholder: Option<i64>,
}

impl Recent {
    /// Remembers a task that takes `bytes` as JSON.
    pub(crate) fn remember(&mut self, task: &Task, options: SubmitOptions, bytes: usize) {
        if !self.looked_after {
            return;
        }
        self.forget(&task.task_id);
        self.bytes += bytes;
        self.order.push_back((Instant::now(), task.task_id.clone()));
        let remembered = Remembered { task: task.clone(), options, bytes, placeholder: None };
        self.tasks.insert(task.task_id.clone(), remembered);
        while AT_MOST < self.order.len() || BYTES_AT_MOST < self.bytes {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.forget(&oldest);
        }
    }

    /// Remembers the placeholder too: with it a task that is submitted again is answered in its own place.
    pub(crate) fn note_placeholder(&mut self, id: &TaskId, message: Option<i64>) {
        if let Some(found) = self.tasks.get_mut(id) {
            found.placeholder = message;
        }
    }

    /// Forgets a task that was answered.
    pub(crate) fn forget(&mut self, id: &TaskId) {
        if let Some(forgotten) = self.tasks.remove(id) {
            self.bytes = self.bytes.saturating_sub(forgotten.bytes);
        }
    }

    /// The lanes with tasks that are still remembered. A task is old enough to be forgotten when its server was seen
    /// to be the same that much later: while Redis is away nothing is forgotten.
    fn lanes(&mut self) -> BTreeSet<Lane> {
        self.looked_after = true;
        let Self { tasks, servers, .. } = self;
        let old: Vec<TaskId> = self
            .order
            .iter()
            .filter(|(at, id)| {
                tasks.get(id).is_none_or(|known| {
                    let seen = servers.get(&known.task.lane());
                    seen.is_some_and(|(_, seen_at)| *at + REMEMBER < *seen_at)
                })
            })
            .map(|(_, id)| id.clone())
            .collect();
        old.iter().for_each(|id| self.forget(id));
        self.order.retain(|(_, id)| self.tasks.contains_key(id));
        self.tasks.values().map(|known| known.task.lane()).collect()
    }

    /// The tasks of a lane in the order of their submits.
    fn of_lane(&self, lane: &Lane) -> Vec<Remembered> {
        let known = self.order.iter().filter_map(|(_, id)| self.tasks.get(id));
        known.filter(|known| known.task.lane() == *lane).cloned().collect()
    }
}

impl TaskQueue {
    /// Looks whether the servers that took this process's last tasks are still the same, and submits again what may be
    /// lost. Gives how many were lost.
    ///
    /// # Errors
    ///
    /// When a server does not answer; the next call looks again.
    pub async fn confirm_recent(&self) -> Result<usize, RedisError> {
        let lanes = self.recent(Recent::lanes);
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
        let (mut lost, mut refusals) = (0, 0);
        for chunk in tasks.chunks(AT_ONCE) {
            let mut batch = Vec::with_capacity(chunk.len());
            for known in chunk {
                if let Some(message) = known.placeholder {
                    // Before the task: its answer may come at once.
                    self.note_placeholder(&known.task.task_id, message).await?;
                }
                // It was accepted before with just this envelope's limits.
                if let Ok(envelope) = self.envelope(&known.task) {
                    batch.push((&known.task, envelope, known.options));
                }
            }
            let answers = self.submit_batch(lane, &batch).await;
            for ((task, ..), answer) in batch.iter().zip(answers.map_err(refused(during()))?) {
                match read_answer(&task.task_type, &answer) {
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

    pub(crate) fn recent<R>(&self, change: impl FnOnce(&mut Recent) -> R) -> R {
        change(&mut self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
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
