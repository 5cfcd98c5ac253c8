//! Telegram: the Bot API, what is sent within its limits, and the updates that it gives.

pub mod bot_api;
pub(crate) mod retry;
pub mod send;
pub mod updates;
