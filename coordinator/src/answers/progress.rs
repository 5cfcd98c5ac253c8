//! Progress while a person waits: "typing…" while a task runs, its position in the queue while it waits, and the plugin's own
//! progress. It ends with this process, and when this process has the answer; the answer does not depend on it.
//!
//! Progress must not replace the answer, so its edits are older in the message's order ([`Revision::progress`]).

use std::time::Duration;

use ops::shutdown::{Shutdown, ShuttingDown};
use queue::{Task, TaskQueue, TaskStatus};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::status::TaskStatusReader;
use crate::chat::callback::view_name;
use crate::chat::question::{Question, ReplyTo};
use crate::chat::sanitize::safe_html;
use crate::telegram::send::{EditOutcome, Priority, Revision, Sender};

/// Most answers arrive before this.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Telegram shows "typing…" for 5 s (Bot API, `sendChatAction`).
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Shortest pause between two edits of a placeholder.
const EDIT_EVERY: Duration = Duration::from_secs(3);
/// A bit longer than a task may live.
const AT_MOST: Duration = Duration::from_secs(180);
/// Sentences with an estimate, and without.
const IN_LINE: (&str, &str) = ("in-line", "in-line-only");
const MAX_PROGRESS_CHARS: usize = 200;

/// Tells people how far their tasks have come, while they wait. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct ProgressReporter {
    queue: TaskQueue,
    sender: Sender,
    status: TaskStatusReader,
    shutdown: Shutdown,
}

impl ProgressReporter {
    /// Reads from `queue` and `status`, and tells through `sender`.
    pub(crate) fn new(
        queue: TaskQueue,
        sender: Sender,
        status: TaskStatusReader,
        shutdown: Shutdown,
    ) -> Self {
        Self { queue, sender, status, shutdown }
    }

    /// Reports until the task has ended or `answered` fires. `message_id` is the message that may change meanwhile: the placeholder, or the
    /// message whose button was pressed.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`]: the report ends, the answer does not depend on it.
    pub(crate) async fn report(
        &self,
        task: &Task,
        reply_to: &ReplyTo,
        message_id: Option<i64>,
        answered: &CancellationToken,
    ) -> Result<(), ShuttingDown> {
        let until = Instant::now() + AT_MOST;
        let mut pause = FIRST_LOOK;
        let mut shown = None;
        let mut edited_at = Instant::now();
        while Instant::now() < until {
            // Not during an edit: one that is left alone counts as in flight for a while.
            let Some(slept) = answered.run_until_cancelled(self.shutdown.sleep(pause)).await else {
                return Ok(());
            };
            slept?;
            pause = LOOK_EVERY;
            let live = match self.queue.show(&task.task_id).await {
                Ok(Some(live)) => live,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::debug!(error = %error.source, "task progress not read");
                    continue;
                }
            };
            if live.status == TaskStatus::Processing {
                let _ = self.sender.typing(&reply_to.address).await; // Nobody misses it.
            }
            let Some(message_id) = message_id.filter(|_| edited_at.elapsed() >= EDIT_EVERY) else {
                continue;
            };
            let words = self.words(task, reply_to, live.status).await;
            if let Some(words) = words.filter(|words| shown.as_ref() != Some(words)) {
                edited_at = Instant::now();
                match self.show(task, reply_to, message_id, &words).await {
                    Report::Shown => shown = Some(words),
                    // The rate limit is used up, for instance: the next look tries again.
                    Report::NotNow => {}
                    Report::NoMore => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// What there is to say about the wait; none leaves the message as it is.
    async fn words(&self, task: &Task, reply_to: &ReplyTo, status: TaskStatus) -> Option<String> {
        let lang = reply_to.lang;
        match status {
            TaskStatus::Retrying => Some(lang.text("taking-up-again")),
            TaskStatus::Processing => match self.queue.progress(&task.task_id).await.ok()? {
                Some(progress) => {
                    let percent = progress.percent.map(|percent| format!(" · {percent} %"));
                    let text = safe_html(&progress.text, MAX_PROGRESS_CHARS);
                    Some(format!("⚙️ {text}{}", percent.unwrap_or_default()))
                }
                // A placeholder has this text already.
                None => reply_to.message_id.map(|_| reply_to.question.waits_for(lang)),
            },
            _ if !self.status.is_offered(&task.task_type) => Some(lang.text("nobody-there")),
            _ => match self.status.tasks_before(&task.task_id).await? {
                0 => Some(lang.text("next-in-line")),
                before => Some(self.status.in_line(lang, IN_LINE, &task.task_type, before)),
            },
        }
    }

    async fn show(&self, task: &Task, reply_to: &ReplyTo, message_id: i64, words: &str) -> Report {
        let view = view_name(&task.task_id);
        let screen = Question::waiting(reply_to.lang, &view, words.to_owned());
        let revision = Revision::progress(message_id, reply_to.turn);
        match self
            .sender
            .edit(&reply_to.address, revision, &screen, Priority::Progress, false)
            .await
        {
            Ok(EditOutcome::Shown | EditOutcome::Beside) => Report::Shown,
            Ok(EditOutcome::Superseded { .. }) => Report::NoMore,
            Ok(EditOutcome::Busy) | Err(_) => Report::NotNow,
        }
    }
}

/// What became of a progress edit.
enum Report {
    Shown,
    NotNow,
    /// The message shows the answer, or something that was asked later: progress ends.
    NoMore,
}
