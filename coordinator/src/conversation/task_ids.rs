//! The ids of the tasks that an update asks for: always the same for the same update.

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

    /// The lane and id of the task that the effect number `ordinal` of an update asks for. None when the question has
    /// no task type.
    pub(crate) fn of(
        &self,
        incoming: &Incoming,
        ordinal: usize,
        question: &Question,
    ) -> Option<(Lane, TaskId)> {
        let lane = self.queue.lane_of(&question.task_type()?, incoming.address.owner);
        // An update's number comes again when the server counts anew, the message behind it does not.
        let number = incoming.update_id;
        let origin = &incoming.origin;
        let cause = format!("{}:{number}:{origin}:{ordinal}", self.bot_id);
        let id = TaskId::from_cause(&lane, &cause);
        Some((lane, id))
    }
}
