//! Redis: connections, scripts, key names, the layout of a record, and what a server refuses.
//!
//! Not here: what is done with tasks. That is in `submit`, `work` and `outbox`.

mod address;
pub(crate) mod blocking;
pub(crate) mod check;
mod cluster;
pub(crate) mod connection;
pub(crate) mod keys;
mod opening;
mod reconnecting;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod replica;
pub(crate) mod scripts;
pub(crate) mod server;
mod slots;
pub(crate) mod subscription;
mod tcp;
pub(crate) mod time;
mod topology;
pub(crate) mod wake_ups;
