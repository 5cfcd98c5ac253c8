//! Submits questions as tasks.

use std::sync::Arc;
use std::time::Duration;

use ops::retry;
use ops::shutdown::{Shutdown, ShuttingDown};
use ops::trace::{self, Current, Span};
use queue::error::SubmitError;
use queue::{Lane, SubmitOptions, Submitted, Task, TaskId, TaskQueue};

use super::delay_notice::{Attempts, DelayNotices, WaitingQuestion};
use super::replies::Replies;
use crate::answers::wait_feedback::WaitFeedback;
use crate::chat::effect::Pressed;
use crate::chat::question::ReplyTo;
use crate::chat::screen::Screen;
use crate::redis_retry;
use crate::session_store::SessionStore;
use crate::spans;

/// Presses of the same button within this time count as one.
const DOUBLE_PRESS: Duration = Duration::from_secs(2);

/// Submits tasks, and shows people that they wait.
#[derive(Debug)]
pub(crate) struct Submitter {
    queue: TaskQueue,
    sessions: SessionStore,
    replies: Arc<Replies>,
    feedback: WaitFeedback,
    notices: Arc<DelayNotices>,
    shutdown: Shutdown,
}

impl Submitter {
    /// Submits to `queue`.
    pub(crate) fn new(
        queue: TaskQueue,
        sessions: SessionStore,
        replies: Arc<Replies>,
        feedback: WaitFeedback,
        notices: Arc<DelayNotices>,
        shutdown: Shutdown,
    ) -> Self {
        Self { queue, sessions, replies, feedback, notices, shutdown }
    }

    /// Submits a question's task; the update is safe once Redis has it.
    pub(crate) async fn submit(
        &self,
        lane: &Lane,
        id: TaskId,
        reply_to: ReplyTo,
        pressed: Option<Pressed>,
    ) -> Result<(), ShuttingDown> {
        let address = reply_to.address;
        let mut task = Task::in_lane(lane, address.owner, reply_to.question.params());
        task.task_id = id;
        task.reply_to = serde_json::to_value(&reply_to).ok();
        let span = spans::send(&task);
        task.traceparent = Some(span.context().traceparent());
        let current = Current::new(span.context()).with_task(task.task_id.as_str());
        trace::within(Some(current), self.send(lane, task, reply_to, pressed, span)).await
    }

    /// Sends a task. `span` is the step of the trace that this is; it ends when Redis has decided.
    async fn send(
        &self,
        lane: &Lane,
        task: Task,
        reply_to: ReplyTo,
        pressed: Option<Pressed>,
        mut span: Span,
    ) -> Result<(), ShuttingDown> {
        let address = reply_to.address;
        let lang = reply_to.lang;
        // A button that is pressed twice is one question; a message that is sent twice is two.
        let options = match &pressed {
            Some(pressed) => SubmitOptions {
                duplicate_within: DOUBLE_PRESS,
                duplicate_scope: pressed.message_id,
                ..SubmitOptions::default()
            },
            None => SubmitOptions::default(),
        };
        let wait = self.feedback.announce(&task.task_id);
        if pressed.is_some() {
            wait.settle(None); // The answer replaces the message with the button.
        }
        let waiting =
            WaitingQuestion { id: task.task_id.clone(), address, lang, pressed: pressed.clone() };
        let attempts = Attempts::begin();
        let attempt = || async {
            match self.queue.submit_with(&task, options).await {
                Err(SubmitError::Redis(error)) => {
                    self.queue.note_trouble(Some(lane), "submit a task", &error);
                    attempts.failed(&self.notices, &error, &waiting).await;
                    Err(error)
                }
                decided => Ok(decided),
            }
        };
        let decided = retry::until_ok(redis_retry::POLICY, &self.shutdown, attempt).await;
        match &decided {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => span.fail(refusal(error)),
            Err(ShuttingDown) => span.fail("shutting-down"),
        }
        drop(span);
        let decided = decided?;
        let refusal = match decided {
            Ok(submitted) => {
                tracing::debug!(task_id = %task.task_id, ?submitted, "task submitted");
                if let Some(pressed) = pressed {
                    let note = reply_to.question.note(lang);
                    self.replies.answer_button(pressed.query_id, Some(note));
                }
                // A known task has its placeholder already, or its delivery sends one.
                if matches!(submitted, Submitted::New { .. }) {
                    self.feedback.start(task, reply_to, wait);
                }
                return Ok(());
            }
            Err(error) => {
                let refusal = refusal(&error);
                if refusal == "busy" {
                    tracing::warn!(error = %error, "task refused");
                }
                refusal
            }
        };
        let key = address.session_key();
        let forgotten =
            self.sessions.update(key, |session| session.forget_pending(&task.task_id)).await;
        if let Err(error) = forgotten {
            tracing::debug!(error = %error, "refused question not removed from the session");
        }
        let refusal = lang.text(refusal);
        match pressed {
            Some(pressed) => {
                self.replies.answer_button(pressed.query_id, Some(refusal));
                Ok(())
            }
            None => self.replies.tell(address, Screen::plain(refusal)).await,
        }
    }
}

/// The sentence for a task that is not accepted.
fn refusal(error: &SubmitError) -> &'static str {
    match error {
        SubmitError::UserLimit { .. } => "one-at-a-time",
        SubmitError::TooLarge { .. } => "failure-too-long",
        _ => "busy",
    }
}
