//! What is to be sent.

use super::limits::Priority;
use super::revision::EditRequest;

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendRequest {
    pub(super) chat_id: i64,
    pub(super) priority: Priority,
    /// One, or as many as an album has pictures: Telegram counts each.
    pub(super) messages: u32,
    /// Which message is changed, unless it is a new one.
    pub(super) change: Option<EditRequest>,
}
