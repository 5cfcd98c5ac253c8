//! The handle on the queue that all parts share: connection, lanes, current problems, recent submits, and who waits for results.

mod health;
mod lanes;
pub(crate) mod resubmit_buffer;
pub(crate) mod task_queue;
pub(crate) mod waits;
