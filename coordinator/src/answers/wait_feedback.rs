//! What a person sees between question and answer: a placeholder, then progress.

use ops::shutdown::ShuttingDown;
use ops::trace;
use queue::{Task, TaskId};
use tokio_util::task::TaskTracker;

use super::placeholder::{Placeholders, WaitGuard};
use super::progress::ProgressReporter;
use crate::chat::callback::view_name;
use crate::chat::question::ReplyTo;
use crate::chat_order::{ChatOrder, ChatTicket};

/// Shows placeholders and progress in the background.
#[derive(Debug)]
pub(crate) struct WaitFeedback {
    placeholders: Placeholders,
    progress: ProgressReporter,
    order: ChatOrder,
    background: TaskTracker,
}

impl WaitFeedback {
    /// Placeholders keep the order of `order`; all of it runs in `background`.
    pub(crate) fn new(
        placeholders: Placeholders,
        progress: ProgressReporter,
        order: ChatOrder,
        background: TaskTracker,
    ) -> Self {
        Self { placeholders, progress, order, background }
    }

    /// Says that `id` is waited for, until the guard is dropped.
    pub(crate) fn announce(&self, id: &TaskId) -> WaitGuard {
        self.placeholders.begin(id)
    }

    /// Sends the placeholder, unless a button asked, and reports progress until the answer has come. In the background.
    pub(crate) fn start(&self, task: Task, reply_to: ReplyTo, wait: WaitGuard) {
        // Taken now, so that the placeholder keeps its position among the messages of this chat.
        let ticket = match reply_to.message_id {
            None => Some(self.order.ticket(reply_to.address.chat_id)),
            Some(_) => None,
        };
        let placeholders = self.placeholders.clone();
        let progress = self.progress.clone();
        self.background.spawn(trace::carry(async move {
            let _ = follow(&placeholders, &progress, task, reply_to, ticket, &wait).await; // Ends with the process.
        }));
    }
}

async fn follow(
    placeholders: &Placeholders,
    progress: &ProgressReporter,
    task: Task,
    reply_to: ReplyTo,
    ticket: Option<ChatTicket>,
    wait: &WaitGuard,
) -> Result<(), ShuttingDown> {
    let message_id = match ticket {
        Some(ticket) => {
            let view = view_name(&task.task_id);
            let screen = reply_to.question.placeholder(reply_to.lang, &view);
            placeholders.send(wait, &ticket, &reply_to.address, &screen).await?
        }
        None => reply_to.message_id,
    };
    progress.report(&task, &reply_to, message_id, wait.answered()).await
}
