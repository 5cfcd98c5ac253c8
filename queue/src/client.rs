//! The handle on the queue that all parts share: the connection, the lanes, what is wrong, what was submitted lately.

mod health;
mod lanes;
pub(crate) mod recent;
pub(crate) mod task_queue;
