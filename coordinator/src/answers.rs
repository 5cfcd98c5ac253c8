//! From the outbox to the chat: answers, the placeholders that they replace, and what is said while people wait.

pub(crate) mod delivery;
pub(crate) mod ledger;
pub(crate) mod message_edit;
pub(crate) mod placeholder;
pub(crate) mod progress;
pub(crate) mod status;
pub(crate) mod wait_feedback;
