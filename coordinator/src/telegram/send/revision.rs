//! The order of a message's edits: what was asked later is what stays.
//!
//! Answers, turned pages and progress edit the same message, in any coordinator. Each edit is a [`Revision`], numbered by
//! the turn of the conversation that asked for it. `admit.lua` compares it with the newest edit begun for this message, in
//! the same step that takes from the rate limit, right before the call: an older one is not begun. An edit is in flight
//! until Telegram has answered, or until its deadline. Another edit meanwhile waits for it ([`EditOutcome::Busy`]), or goes
//! beside it and has to be repeated afterwards ([`EditOutcome::Beside`]). An edit whose call got no answer may still arrive,
//! so it stays in flight until its deadline.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::Priority;

/// Timeout of an edit's call.
const CALL_AT_MOST: Duration = Duration::from_secs(20);
/// Timeout of a progress edit's call: progress is out of date soon.
const PROGRESS_AT_MOST: Duration = Duration::from_secs(5);
/// How long after its timeout an edit may still arrive at Telegram.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);
/// Lua compares turns as doubles, which are exact below 2^53.
const TURNS_AT_MOST: u64 = 1 << 51;

/// The version of a message's text: which message, and how new the text is among all its edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The message.
    pub message_id: i64,
    /// The turn of the conversation that asked for it.
    pub turn: u64,
    /// Whether it is progress, which is older than the answer of the same turn.
    pub progress: bool,
}

impl Revision {
    /// The answer to what was asked at `turn`.
    pub fn answer(message_id: i64, turn: u64) -> Self {
        Self { message_id, turn, progress: false }
    }

    /// Progress of what was asked at `turn`.
    pub fn progress(message_id: i64, turn: u64) -> Self {
        Self { message_id, turn, progress: true }
    }

    /// The order as one number.
    pub(super) fn rank(self) -> u64 {
        self.turn.min(TURNS_AT_MOST) * 2 + u64::from(!self.progress)
    }

    /// The turn of a rank.
    pub(super) fn turn_of(rank: u64) -> u64 {
        rank / 2
    }
}

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditOutcome {
    /// The message shows it, and no older edit can replace it.
    Shown,
    /// The message shows it, but an older edit may still arrive: it has to be repeated.
    Beside,
    /// Not begun: an older edit of this message is in flight. To be tried again in a moment.
    Busy,
    /// Not begun: an edit of this later turn was begun.
    Superseded {
        /// The later turn.
        by: u64,
    },
}

/// An edit that asks to be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EditRequest {
    /// The chat in which the message was sent. A group that migrates leaves its messages behind.
    pub(super) chat_id: i64,
    pub(super) revision: Revision,
    /// Whether it is begun also while an older edit is in flight.
    pub(super) beside: bool,
}

/// An edit that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InFlightEdit {
    /// Its token among the edits in flight of the same message.
    pub(super) token: String,
    /// Whether an older edit is in flight too.
    pub(super) beside: bool,
    /// Deadline of its call. Counted from before Redis was asked, so that it ends here before it ends there.
    pub(super) until: Instant,
}

/// How long a call may take.
pub(super) fn call_at_most(priority: Priority) -> Duration {
    match priority {
        Priority::Progress => PROGRESS_AT_MOST,
        Priority::Answer | Priority::Reply | Priority::Placeholder => CALL_AT_MOST,
    }
}

/// How long an edit counts as in flight unless its end is noted.
pub(super) fn on_its_way_at_most(priority: Priority) -> Duration {
    call_at_most(priority) + ARRIVES_WITHIN
}

#[cfg(test)]
mod model;
