//! Who may use the bot, and how much.

pub(crate) mod admission;
pub(crate) mod dedup;
pub mod lists;
