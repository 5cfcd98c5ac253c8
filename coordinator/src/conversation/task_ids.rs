//! Ids of tasks: the same update always gets the same ids.

use queue::{Lane, TaskId, TaskQueue};

use crate::chat::event::Incoming;
use crate::chat::question::Question;

/// Makes task ids. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct TaskIds {
    queue: TaskQueue,
    bot_id: u64,
}

impl TaskIds {
    /// The ids of tasks in `queue` for updates of the bot `bot_id`.
    pub(crate) fn new(queue: TaskQueue, bot_id: u64) -> Self {
        Self { queue, bot_id }
    }

    /// The lane and id of the task of an update's effect number `ordinal`. None when the question has no task type.
    pub(crate) fn of(
        &self,
        incoming: &Incoming,
        ordinal: usize,
        question: &Question,
    ) -> Option<(Lane, TaskId)> {
        let lane = self.queue.lane_of(&question.task_type()?, incoming.address.owner);
        // Update ids can repeat when the server restarts them; the message's id does not.
        let number = incoming.update_id;
        let origin = &incoming.origin;
        let cause = format!("{}:{number}:{origin}:{ordinal}", self.bot_id);
        let id = TaskId::from_cause(&lane, &cause);
        Some((lane, id))
    }
}
