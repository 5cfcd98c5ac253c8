//! What a person sees between question and answer: a placeholder, then progress.

use ops::shutdown::ShuttingDown;
use queue::{Task, TaskId};
use tokio_util::task::TaskTracker;

use super::placeholder::{InFlightGuard, Placeholders};
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

    /// Says that a placeholder for `id` is going to be sent, until the guard is dropped.
    pub(crate) fn announce(&self, id: &TaskId) -> InFlightGuard {
        self.placeholders.begin(id)
    }

    /// Sends the placeholder when one was announced, and reports progress until the task has ended. In the background.
    pub(crate) fn start(&self, task: Task, reply_to: ReplyTo, announced: Option<InFlightGuard>) {
        // Taken now, so that the placeholder keeps its position among the messages of this chat.
        let placeholder =
            announced.map(|guard| (guard, self.order.ticket(reply_to.address.chat_id)));
        let placeholders = self.placeholders.clone();
        let progress = self.progress.clone();
        self.background.spawn(async move {
            let _ = follow(&placeholders, &progress, task, reply_to, placeholder).await; // Ends with the process.
        });
    }
}

async fn follow(
    placeholders: &Placeholders,
    progress: &ProgressReporter,
    task: Task,
    reply_to: ReplyTo,
    placeholder: Option<(InFlightGuard, ChatTicket)>,
) -> Result<(), ShuttingDown> {
    let message_id = match placeholder {
        Some((guard, ticket)) => {
            let id = &task.task_id;
            let screen = reply_to.question.placeholder(reply_to.lang, &view_name(id));
            let sent = placeholders.send(id, &ticket, &reply_to.address, &screen).await?;
            drop((ticket, guard));
            sent
        }
        None => reply_to.message_id,
    };
    progress.report(&task, &reply_to, message_id).await
}
