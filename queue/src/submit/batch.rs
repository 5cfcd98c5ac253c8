//! One call of `submit.lua`: its arguments and its replies.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::client::task_queue::TaskQueue;
use crate::error::SubmitError;
use crate::redis::scripts::{check_count, unknown_reply};
use crate::redis::time::millis;
use crate::task::{Lane, SubmitOptions, Task, TaskId, TaskType, now_ms};

/// Most tasks in one script call: far below what Lua can unpack at once, and short enough not to delay other clients.
pub(crate) const MAX_BATCH: usize = 256;

/// The outcome of a submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Accepted now.
    New {
        /// Tasks of the same type that were waiting before it.
        ahead: u64,
    },
    /// The same id was accepted before; nothing changed.
    Already,
    /// The same person submitted an identical task a moment ago; nothing changed, and only that task is answered.
    Duplicate {
        /// The earlier task.
        of: TaskId,
    },
}

impl Submitted {
    /// Whether the queue has the task under its own id.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Self::New { .. } | Self::Already)
    }
}

/// A task's JSON while it is in the queue. What the record beside it says is left out: each byte is kept for each task that
/// waits.
#[derive(Serialize)]
struct Envelope<'a> {
    task_id: &'a TaskId,
    user_id: i64,
    task_type: &'a TaskType,
    params: &'a Map<String, Value>,
    submitted_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_channel: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    fn of(task: &'a Task, submitted_at: u64) -> Self {
        // Named one by one, so that a new field is not forgotten.
        let Task {
            task_id,
            user_id,
            task_type,
            params,
            submitted_at: _,
            deadline_at: _,
            attempt: _,
            reply_to,
            traceparent,
            done_channel,
        } = task;
        Self {
            task_id,
            user_id: *user_id,
            task_type,
            params,
            submitted_at,
            reply_to: reply_to.as_ref(),
            traceparent: traceparent.as_deref(),
            done_channel: done_channel.as_deref(),
        }
    }
}

impl TaskQueue {
    /// The task as it is stored.
    pub(crate) fn envelope(&self, task: &Task) -> Result<String, SubmitError> {
        if self.server.is_cluster() && task.task_id.lane().as_ref() != Some(&task.lane()) {
            let task_id = task.task_id.clone();
            let task_type = task.task_type.clone();
            return Err(SubmitError::ForeignId { task_id, task_type });
        }
        let envelope =
            serde_json::to_string(&Envelope::of(task, now_ms())).map_err(SubmitError::Json)?;
        let bytes = envelope.len();
        let limit = self.config.max_task_bytes;
        if limit < bytes {
            return Err(SubmitError::TooLarge { bytes, limit });
        }
        Ok(envelope)
    }

    /// Submits tasks of one lane. Returns one outcome for each, in the same order.
    pub(crate) async fn submit_batch(
        &self,
        lane: &Lane,
        batch: &[(&Task, String, SubmitOptions)],
    ) -> Result<Vec<Result<Submitted, SubmitError>>, SubmitError> {
        let mut script = self.scripts.submit.prepare();
        script
            .key(self.keys.queue(lane))
            .key(&self.keys.task_store(lane))
            .arg(batch.len())
            .arg(self.config.max_pending)
            .arg(self.config.user_cap)
            .arg(millis(self.config.keep_ledger))
            .arg(millis(self.config.time_to_live));
        for (task, envelope, options) in batch {
            let wants_reply = task.reply_to.is_some();
            let guard = if wants_reply {
                self.keys.reply(&task.task_id)
            } else {
                self.keys.status(&task.task_id)
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
                let band = options.band.offset();
                let delay = millis(options.delay);
                script
                    .key(
                        self.keys
                            .duplicate_guard(lane, &fingerprint(task, options.duplicate_scope)),
                    )
                    .arg(format!("{band}|{delay}|{}", millis(options.duplicate_within)));
            }
        }
        let replies: Vec<Vec<String>> =
            script.run(&mut self.connection.clone()).await.map_err(SubmitError::Redis)?;
        check_count("submit.lua", replies.len(), batch.len()).map_err(SubmitError::Redis)?;
        let replies = replies.iter().zip(batch);
        Ok(replies.map(|(reply, (task, ..))| read_reply(&task.task_type, reply)).collect())
    }
}

/// Equal for two tasks that are duplicates of each other.
fn fingerprint(task: &Task, scope: i64) -> String {
    let params = serde_json::to_string(&task.params).unwrap_or_default();
    let name = format!("{}:{scope}:{params}", task.user_id);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string()
}

/// Reads the reply for one task.
fn read_reply(task_type: &TaskType, reply: &[String]) -> Result<Submitted, SubmitError> {
    let unknown = || SubmitError::Redis(unknown_reply("submit.lua", &reply.join(" ")));
    let number = |text: &str| text.parse().map_err(|_not_a_number| unknown());
    let task_type = || task_type.clone();
    match reply.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["OK", ahead] => Ok(Submitted::New { ahead: number(ahead)? }),
        ["EXISTS"] => Ok(Submitted::Already),
        ["DUPLICATE", of] => {
            let of = of.parse().map_err(|_not_an_id| unknown())?;
            Ok(Submitted::Duplicate { of })
        }
        ["QUEUE_FULL", pending] => {
            Err(SubmitError::QueueFull { task_type: task_type(), pending: number(pending)? })
        }
        ["USER_LIMIT", live] => {
            Err(SubmitError::UserLimit { task_type: task_type(), live: number(live)? })
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &[&str]) -> Result<Submitted, SubmitError> {
        let reply: Vec<String> = reply.iter().map(|&word| word.to_owned()).collect();
        read_reply(&"search".parse().unwrap(), &reply)
    }

    #[test]
    fn every_reply_of_the_script_is_known() {
        assert_eq!(read(&["OK", "7"]).unwrap(), Submitted::New { ahead: 7 });
        assert_eq!(read(&["EXISTS"]).unwrap(), Submitted::Already);
        let of: TaskId = "{search}1".parse().unwrap();
        assert_eq!(read(&["DUPLICATE", "{search}1"]).unwrap(), Submitted::Duplicate { of });
        let full = read(&["QUEUE_FULL", "3"]);
        assert!(matches!(full, Err(SubmitError::QueueFull { pending: 3, .. })), "{full:?}");
        let limit = read(&["USER_LIMIT", "2"]);
        assert!(matches!(limit, Err(SubmitError::UserLimit { live: 2, .. })), "{limit:?}");
    }

    #[test]
    fn an_unknown_reply_is_an_error_and_never_an_accepted_task() {
        let unknown: [&[&str]; 8] = [
            &[],
            &["ok", "7"],
            &["OK"],
            &["OK", "many"],
            &["EXISTS", "1"],
            &["DUPLICATE", "no id"],
            &["QUEUE_FULL", "-"],
            &["LATER"],
        ];
        for reply in unknown {
            let read = read(reply);
            assert!(matches!(read, Err(SubmitError::Redis(_))), "{reply:?}: {read:?}");
        }
        let text = format!("{:?}", read(&["LATER"]).unwrap_err());
        assert!(text.contains("`submit.lua` replied `LATER`"), "{text}");
    }
}
