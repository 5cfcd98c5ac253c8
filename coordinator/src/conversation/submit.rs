//! Submits questions as tasks.

use std::sync::Arc;
use std::time::Duration;

use ops::retry;
use ops::shutdown::{Shutdown, ShuttingDown};
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
        let lang = reply_to.lang;
        let mut task = Task::in_lane(lane, address.owner, reply_to.question.params());
        task.task_id = id;
        task.reply_to = serde_json::to_value(&reply_to).ok();
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
        let decided = retry::until_ok(redis_retry::POLICY, &self.shutdown, attempt).await?;
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
            Err(SubmitError::UserLimit { .. }) => "one-at-a-time",
            Err(SubmitError::TooLarge { .. }) => "failure-too-long",
            Err(error) => {
                tracing::warn!(error = %error, "task refused");
                "busy"
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
