//! One call of `submit.lua`: what it is sent, and what it answers.

use uuid::Uuid;

use crate::client::task_queue::TaskQueue;
use crate::error::SubmitError;
use crate::redis::time::millis;
use crate::task::{Lane, SubmitOptions, Task, TaskId, TaskType, now_ms};

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
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Self::New { .. } | Self::Already)
    }
}

impl TaskQueue {
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
