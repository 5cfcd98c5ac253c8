//! What is to be sent.

use super::limits::Urgency;
use super::revision::Change;

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) chat_id: i64,
    pub(super) urgency: Urgency,
    /// One, or as many as an album has pictures: Telegram counts each.
    pub(super) messages: u32,
    /// Which message is changed, unless it is a new one.
    pub(super) change: Option<Change>,
}
