//! Redis: connections, scripts, key names, the layout of a record, and what a server refuses.
//!
//! Not here: what is done with tasks. That is in `submit`, `work` and `outbox`.

pub(crate) mod blocking;
pub(crate) mod connection;
pub(crate) mod keys;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod replica;
pub(crate) mod scripts;
pub(crate) mod wake_ups;
