//! The handle on the queue that all parts share: connection, lanes, current problems, and recent submits.

mod health;
mod lanes;
pub(crate) mod resubmit_buffer;
pub(crate) mod task_queue;
