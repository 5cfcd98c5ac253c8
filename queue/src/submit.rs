//! Submitting: a task is accepted once per id, several in one call.

pub(crate) mod ingress;
mod progress;
mod result;

use std::time::Duration;

use uuid::Uuid;

use crate::client::task_queue::{TaskQueue, millis};
use crate::error::SubmitError;
use crate::task::lane::{self, Lane};
use crate::task::{Task, TaskId, TaskType, now_ms};

pub use crate::client::recent::confirm_until;
pub use ingress::drain_ingress;
pub use progress::Progress;

/// Tasks in one script call: far below what Lua can unpack at once, and short enough not to hold up others.
pub(crate) const AT_ONCE: usize = 256;

/// What a submit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Accepted now.
    New {
        /// Tasks of the same type that were waiting before it.
        ahead: u64,
    },
    /// The same id was accepted before: nothing changed.
    Already,
    /// The same person asked just the same a moment ago: nothing changed, and the answer goes to the first.
    Duplicate {
        /// The first.
        of: TaskId,
    },
}

impl Submitted {
    /// Whether the queue knows the task under its own id.
    fn is_accepted(&self) -> bool {
        matches!(self, Self::New { .. } | Self::Already)
    }
}

/// How soon a task's turn comes. All bands age in the same virtual time: a lower one waits longer, never for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Band {
    /// Somebody waits.
    #[default]
    Interactive,
    /// Behind 50 tasks of one person.
    Normal,
    /// Behind 500.
    Background,
}

impl Band {
    /// Added to the virtual start time, whose unit is one task of one person.
    fn offset(self) -> u32 {
        match self {
            Self::Interactive => 0,
            Self::Normal => 50,
            Self::Background => 500,
        }
    }
}

/// How a task is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitOptions {
    /// How soon its turn comes.
    pub band: Band,
    /// Becomes ready only after this. The time to live begins with the submit.
    pub delay: Duration,
    /// A task of the same person, type and params within this time is a duplicate of the first while that is not
    /// answered.
    pub same_within: Duration,
    /// With [`SubmitOptions::same_within`]: where it was asked; the same question in another place is another one.
    pub same_place: i64,
}

impl TaskQueue {
    /// Accepts a task. The same id is accepted once, however often it is submitted.
    ///
    /// # Errors
    ///
    /// - [`SubmitError::QueueFull`], [`SubmitError::UserLimit`][]: try later.
    /// - [`SubmitError::TooLarge`][], [`SubmitError::ForeignId`][]: do not try again.
    /// - [`SubmitError::Redis`][]: unknown whether it was accepted; submit it again.
    pub async fn submit_task(&self, task: &Task) -> Result<Submitted, SubmitError> {
        self.submit_with(task, SubmitOptions::default()).await
    }

    /// Accepts a task in a band, later, or only when it is no duplicate.
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::submit_task`].
    pub async fn submit_with(
        &self,
        task: &Task,
        options: SubmitOptions,
    ) -> Result<Submitted, SubmitError> {
        let envelope = self.envelope(task)?;
        let bytes = envelope.len();
        let lane = task.lane();
        self.remember_lane(&lane).await.map_err(SubmitError::Redis)?;
        let batch = [(task, envelope, options)];
        let mut keeping = self.keep(&lane);
        let mut before = None;
        loop {
            let answers = self.submit_batch(&lane, &batch).await?;
            let answer = answers.into_iter().next().unwrap_or_default();
            let submitted = match (before, read_answer(&task.task_type, &answer)?) {
                // Written again, and there.
                (Some(before), Submitted::Already) => before,
                (_, submitted) => submitted,
            };
            if submitted.is_accepted() {
                self.recent(|recent| recent.remember(task, options, bytes));
            }
            if keeping.kept().await.map_err(SubmitError::Redis)? {
                return Ok(submitted);
            }
            before = Some(submitted);
        }
    }

    /// Accepts many tasks, hundreds in one call. One answer per task in the same order; one that is refused does not
    /// keep the others out.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Redis`] when Redis does not answer; some may have been accepted. Submitting all again is safe.
    pub async fn submit_tasks(
        &self,
        tasks: &[(Task, SubmitOptions)],
    ) -> Result<Vec<Result<Submitted, SubmitError>>, SubmitError> {
        let mut results: Vec<Option<Result<Submitted, SubmitError>>> = Vec::new();
        results.resize_with(tasks.len(), || None);
        for (lane, members) in lane::places(tasks.iter().map(|(task, _)| task.lane())) {
            self.remember_lane(&lane).await.map_err(SubmitError::Redis)?;
            let mut places = Vec::new();
            let mut batch = Vec::new();
            for place in members {
                let Some((task, options)) = tasks.get(place) else { continue };
                match self.envelope(task) {
                    Ok(envelope) => {
                        places.push(place);
                        batch.push((task, envelope, *options));
                    }
                    Err(error) => set(&mut results, place, Err(error)),
                }
            }
            for (places, batch) in places.chunks(AT_ONCE).zip(batch.chunks(AT_ONCE)) {
                let keeping = self.keep(&lane);
                let answers = self.submit_batch(&lane, batch).await?;
                for ((place, answer), (task, envelope, options)) in
                    places.iter().zip(answers).zip(batch)
                {
                    let submitted = read_answer(&task.task_type, &answer);
                    if submitted.as_ref().is_ok_and(Submitted::is_accepted) {
                        self.recent(|recent| recent.remember(task, *options, envelope.len()));
                    }
                    set(&mut results, *place, submitted);
                }
                keeping.replica_has_it().await.map_err(SubmitError::Redis)?;
            }
        }
        Ok(results.into_iter().map(|result| result.unwrap_or(Ok(Submitted::Already))).collect())
    }

    /// The task as it is stored.
    pub(crate) fn envelope(&self, task: &Task) -> Result<String, SubmitError> {
        if self.server.has_slots() && task.task_id.lane().as_ref() != Some(&task.lane()) {
            let (task_id, task_type) = (task.task_id.clone(), task.task_type.clone());
            return Err(SubmitError::ForeignId { task_id, task_type });
        }
        let mut task = task.clone();
        task.submitted_at = now_ms();
        task.deadline_at = task.submitted_at.saturating_add(millis(self.config.time_to_live));
        let envelope = serde_json::to_string(&task).map_err(SubmitError::Json)?;
        let (bytes, limit) = (envelope.len(), self.config.max_task_bytes);
        if limit < bytes {
            return Err(SubmitError::TooLarge { bytes, limit });
        }
        Ok(envelope)
    }

    pub(crate) async fn submit_batch(
        &self,
        lane: &Lane,
        batch: &[(&Task, String, SubmitOptions)],
    ) -> Result<Vec<Vec<String>>, SubmitError> {
        let mut script = self.scripts.submit.prepare();
        script
            .key(self.keys.queue(lane))
            .key(self.keys.delayed(lane))
            .key(self.keys.deadline(lane))
            .key(self.keys.data(lane))
            .key(self.keys.users(lane))
            .key(self.keys.meta(lane))
            .key(self.keys.wake(lane))
            .arg(batch.len())
            .arg(self.config.max_pending)
            .arg(self.config.user_cap)
            .arg(millis(self.config.keep_ledger))
            .arg(millis(self.config.time_to_live));
        for (task, envelope, options) in batch {
            let wants_reply = task.reply_to.is_some();
            let guard = match wants_reply {
                true => self.keys.reply(&task.task_id),
                false => self.keys.status(&task.task_id),
            };
            script
                .key(guard)
                .arg(task.task_id.as_str())
                .arg(envelope)
                .arg(task.user_id)
                .arg(i32::from(wants_reply));
            if *options == SubmitOptions::default() {
                script.arg("");
            } else {
                let (band, delay) = (options.band.offset(), millis(options.delay));
                script
                    .key(self.keys.double(lane, &fingerprint(task, options.same_place)))
                    .arg(format!("{band}|{delay}|{}", millis(options.same_within)));
            }
        }
        script.run(&mut self.connection.clone()).await.map_err(SubmitError::Redis)
    }
}

fn set<T>(slots: &mut [Option<T>], place: usize, value: T) {
    if let Some(slot) = slots.get_mut(place) {
        *slot = Some(value);
    }
}

/// What makes two tasks the same question.
fn fingerprint(task: &Task, place: i64) -> String {
    let params = serde_json::to_string(&task.params).unwrap_or_default();
    let name = format!("{}:{place}:{params}", task.user_id);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string()
}

pub(crate) fn read_answer(
    task_type: &TaskType,
    answer: &[String],
) -> Result<Submitted, SubmitError> {
    let words: Vec<&str> = answer.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().unwrap_or_default();
    match *words.as_slice() {
        ["OK", ahead] => Ok(Submitted::New { ahead: number(ahead) }),
        ["DUPLICATE", of] => match of.parse() {
            Ok(of) => Ok(Submitted::Duplicate { of }),
            Err(_) => Ok(Submitted::Already),
        },
        ["QUEUE_FULL", pending] => {
            Err(SubmitError::QueueFull { task_type: task_type.clone(), pending: number(pending) })
        }
        ["USER_LIMIT", live] => {
            Err(SubmitError::UserLimit { task_type: task_type.clone(), live: number(live) })
        }
        _ => Ok(Submitted::Already),
    }
}
