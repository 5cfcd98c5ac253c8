//! Handles what people do: asks the flow what to do about it, and does it.

pub(crate) mod chat_role;
pub(crate) mod delay_notice;
pub(crate) mod effects;
pub(crate) mod handler;
pub(crate) mod reactions;
pub(crate) mod replies;
pub(crate) mod slow_chats;
pub(crate) mod submit;
pub(crate) mod task_ids;
