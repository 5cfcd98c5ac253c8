//! The handle on the queue that everything else uses: connected, with its lanes, its troubles and its memory.

pub(crate) mod recent;
pub(crate) mod task_queue;
