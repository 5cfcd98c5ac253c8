//! A message or an edit that asks to be sent.

use super::limits::Priority;
use super::revision::EditRequest;

/// A message or an edit that asks to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendRequest {
    pub(super) chat_id: i64,
    pub(super) priority: Priority,
    /// Number of messages: Telegram counts each picture of an album.
    pub(super) messages: u32,
    /// The edit, unless it is a new message.
    pub(super) change: Option<EditRequest>,
}
