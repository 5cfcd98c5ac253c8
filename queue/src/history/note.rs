//! From what a process knows about a task's end to the entries of the history.

use serde_json::Value;

use crate::history::buffer::Buffer;
use crate::history::record::{FinishedTask, Step, StepKind};
use crate::history::settings::Texts;
use crate::outbox::{Delivered, Reply};
use crate::redis::time::millis;
use crate::task::{FailureCode, Task, TaskResult, TaskStatus, now_ms};
use crate::work::handler::Handled;
use crate::work::lease::{Finish, Lease};
use crate::work::reply::FinishReply;

/// Most characters that are kept of what a plugin wrote, where texts are kept whole.
const MAX_LOG_CHARS: usize = 4_096;

/// What is known of a task that nobody held when it ended.
#[derive(Debug)]
pub(crate) struct Unheld {
    pub(crate) task: Task,
    /// The worker that held it last, and since when in ms of Redis' clock.
    pub(crate) held: Option<(String, u64)>,
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
}

impl Buffer {
    /// The outcome of a holder's call.
    pub(crate) fn note_held(
        &self,
        worker: &str,
        lease: &Lease,
        handled: &Handled,
        reply: FinishReply,
    ) {
        let Handled { result, finish, log } = handled;
        let task = &lease.task;
        let number = |name| result.metadata.get(name).and_then(Value::as_u64);
        let word = |name| result.metadata.get(name).and_then(Value::as_str).map(str::to_owned);
        let ended_at = if result.completed_at == 0 { now_ms() } else { result.completed_at };
        let claimed_at = ended_at.saturating_sub(number("run_ms").unwrap_or(0));
        match (reply, *finish) {
            (FinishReply::Ended(status), _) => {
                let known = FinishedTask {
                    plugin: word("plugin"),
                    version: word("plugin_version"),
                    worker: Some(worker.to_owned()),
                    claimed_at: Some(claimed_at),
                    ended_at,
                    failures: lease.failures,
                    crashes: lease.crashes,
                    log: self.kept_end(log.as_deref()),
                    ..self.finished(task, status, result)
                };
                self.note_ended(&known);
            }
            (FinishReply::Retrying, Finish::RetryAfter(delay)) => {
                // That code is for the last attempt; the plugin asked for another one.
                let exhausted = FailureCode::RetriesExhausted.as_str();
                let what = StepKind::Retried {
                    worker: worker.to_owned(),
                    claimed_at,
                    code: result.code().filter(|code| *code != exhausted).map(str::to_owned),
                    version: word("plugin_version"),
                    delay_ms: millis(delay),
                    reason: self.reason(result),
                };
                self.note(task, ended_at, what);
            }
            _ => {}
        }
    }

    /// The outcome of a call that ended a task which nobody held any more, or returned it to the queue.
    pub(crate) fn note_unheld(&self, unheld: &Unheld, result: &TaskResult, reply: FinishReply) {
        let Unheld { task, held, failures, crashes } = unheld;
        let at = now_ms();
        match (reply, held) {
            (FinishReply::Ended(status), held) => self.note_ended(&FinishedTask {
                worker: held.as_ref().map(|(worker, _)| worker.clone()),
                claimed_at: held.as_ref().map(|(_, at)| *at),
                ended_at: at,
                failures: *failures,
                crashes: *crashes,
                ..self.finished(task, status, result)
            }),
            (FinishReply::Requeued, Some((worker, claimed_at))) => {
                let what = StepKind::WorkerLost { worker: worker.clone(), claimed_at: *claimed_at };
                self.note(task, at, what);
            }
            _ => {}
        }
    }

    /// An answer left the outbox.
    pub(crate) fn note_delivered(&self, reply: &Reply, how: Delivered, message_id: Option<i64>) {
        let task = &reply.task;
        let what = match how {
            Delivered::Shown => StepKind::Delivered { chat_id: chat_of(task), message_id },
            Delivered::Undeliverable => StepKind::Undeliverable,
        };
        self.note(task, now_ms(), what);
    }

    fn note(&self, task: &Task, at: u64, what: StepKind) {
        let step = Step { task_id: task.task_id.clone(), user_id: task.user_id, at, what };
        self.note_step(&task.task_type, task.submitted_at, &step);
    }

    /// The part that depends on the task and its result alone.
    fn finished(&self, task: &Task, status: TaskStatus, result: &TaskResult) -> FinishedTask {
        let texts = self.settings.texts != Texts::Off;
        let json = |value: &Value| {
            let kept = texts && !value.is_null();
            kept.then(|| self.kept(Some(&value.to_string()))).flatten()
        };
        let params = texts.then(|| serde_json::to_string(&task.params).unwrap_or_default());
        FinishedTask {
            task_id: task.task_id.clone(),
            task_type: task.task_type.clone(),
            user_id: task.user_id,
            chat_id: chat_of(task),
            status,
            code: result.code().map(str::to_owned),
            plugin: None,
            version: None,
            worker: None,
            submitted_at: task.submitted_at,
            claimed_at: None,
            ended_at: 0,
            failures: 0,
            crashes: 0,
            params: self.kept(params.as_deref()),
            result: json(&result.data),
            error: self.reason(result),
            log: None,
        }
    }

    /// What is kept of a log: its end.
    fn kept_end(&self, log: Option<&str>) -> Option<String> {
        let limit = self.settings.texts.limit().min(MAX_LOG_CHARS);
        let log = log.filter(|log| limit > 0 && !log.is_empty())?;
        match log.char_indices().nth_back(limit.saturating_sub(1)) {
            Some((cut, _)) if cut > 0 => log.get(cut..).map(|end| format!("…{end}")),
            _ => Some(log.to_owned()),
        }
    }

    /// Why an attempt failed: what is kept of its text, and the server that refused a request, which is nobody's text.
    fn reason(&self, result: &TaskResult) -> Option<String> {
        match (self.kept(result.error.as_deref()), result.failed_request()) {
            (Some(text), Some(request)) => Some(format!("{text} ({request})")),
            (text, request) => text.or_else(|| request.map(str::to_owned)),
        }
    }

    /// What is kept of a text.
    fn kept(&self, text: Option<&str>) -> Option<String> {
        let limit = self.settings.texts.limit();
        let text = text.filter(|text| limit > 0 && !text.is_empty())?;
        match text.char_indices().nth(limit) {
            Some((end, _)) => text.get(..end).map(|begin| format!("{begin}…")),
            None => Some(text.to_owned()),
        }
    }
}

/// The chat, where `reply_to` names one as the coordinator does. Nothing else of it is read.
fn chat_of(task: &Task) -> Option<i64> {
    task.reply_to.as_ref()?.get("chat_id")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::settings::HistorySettings;

    #[track_caller]
    fn check(texts: Texts, log: &str, expected: Option<&str>) {
        let buffer = Buffer::new(HistorySettings { texts, ..HistorySettings::default() });
        assert_eq!(buffer.kept_end(Some(log)).as_deref(), expected);
    }

    #[test]
    fn of_a_log_the_end_is_kept_where_texts_are() {
        check(Texts::Off, "line", None);
        check(Texts::Whole, "", None);
        check(Texts::Short, "line", Some("line"));
        let whole = "é".repeat(200);
        check(Texts::Short, &whole, Some(&whole));
        check(Texts::Short, &format!("ab{whole}"), Some(&format!("…{whole}")));
        let cut = format!("…{}", "x".repeat(MAX_LOG_CHARS));
        check(Texts::Whole, &"x".repeat(MAX_LOG_CHARS + 1), Some(&cut));
    }
}
