//! Redis: connections, scripts, key names, the layout of a task's record, and a server's refusals.
//!
//! Not here: operations on tasks, which are in `submit`, `work` and `outbox`.

mod address;
pub(crate) mod blocking;
pub(crate) mod check;
mod cluster;
pub(crate) mod connection;
mod hedged_open;
pub(crate) mod keys;
mod reconnecting;
pub(crate) mod refusal;
pub(crate) mod replica_wait;
pub(crate) mod scripts;
pub(crate) mod server;
mod slots;
pub(crate) mod subscription;
pub(crate) mod task_record;
mod tcp;
pub(crate) mod time;
mod topology;
pub(crate) mod wake_ups;
