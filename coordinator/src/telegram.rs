//! Telegram: the Bot API, what is sent within its limits, and the updates that it gives.

pub mod bot_api;
pub mod send;
pub mod updates;
