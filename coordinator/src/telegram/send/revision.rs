//! The order of a message's changes: what was asked later is what stands.
//!
//! Several things change one message: answers, turned pages, words about a wait, in any coordinator. Each change is a
//! [`Revision`], numbered by the turn of the conversation that asked for it. `room.lua` compares it with the newest that
//! was begun for this message in the same step that takes room, right before the call: an older one is not begun. A
//! change that was begun counts as on its way until Telegram has answered, or until its time is up; one that is begun
//! meanwhile waits for it ([`EditOutcome::Busy`]), or goes beside it and has to be repeated afterwards ([`EditOutcome::Beside`]).
//! A change whose call got no answer may still arrive, so it stays on its way until its time is up.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::Priority;

/// A call that takes longer is given up.
const CALL_AT_MOST: Duration = Duration::from_secs(20);
/// The same for a word about a wait, which is worth less with each second.
const PROGRESS_AT_MOST: Duration = Duration::from_secs(5);
/// A change that was given up may arrive for this long: Telegram may have had it in hand.
const ARRIVES_WITHIN: Duration = Duration::from_secs(5);
/// Turns are compared as numbers of the script's language, which are exact below 2^53.
const TURNS_AT_MOST: u64 = 1 << 51;

/// Which message is changed, and what it shows then: how new that is among all that this message was to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The message.
    pub message_id: i64,
    /// When in the conversation it was asked for.
    pub turn: u64,
    /// A word about the wait for it, which is older than the answer of the same turn.
    pub progress: bool,
}

impl Revision {
    /// What was asked at `turn`.
    pub fn answer(message_id: i64, turn: u64) -> Self {
        Self { message_id, turn, progress: false }
    }

    /// A word about the wait for what was asked at `turn`.
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

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditOutcome {
    /// The message shows it, and nothing older can cover it.
    Shown,
    /// The message shows it, but something older may still arrive: it has to be repeated.
    Beside,
    /// Not begun: something older is on its way to this message. To be tried again in a moment.
    Busy,
    /// Not begun: the message shows, or is about to show, what was asked at this later turn.
    Superseded {
        /// The later turn.
        by: u64,
    },
}

/// A change as it asks for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EditRequest {
    /// The message's chat, as it was when the message was sent: a group that moves leaves its messages behind.
    pub(super) chat_id: i64,
    pub(super) revision: Revision,
    /// Whether it goes also while something older is on its way.
    pub(super) beside: bool,
}

/// A change that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InFlightEdit {
    /// Its name among those on their way to the same message.
    pub(super) token: String,
    /// Whether something older is on its way too.
    pub(super) beside: bool,
    /// When its call is given up: counted from before Redis was asked, so that it is over here before it is over there.
    pub(super) until: Instant,
}

/// How long a call may take.
pub(super) fn call_at_most(priority: Priority) -> Duration {
    match priority {
        Priority::Progress => PROGRESS_AT_MOST,
        Priority::Answer | Priority::Reply | Priority::Placeholder => CALL_AT_MOST,
    }
}

/// How long a change counts as on its way unless its end is noted.
pub(super) fn on_its_way_at_most(priority: Priority) -> Duration {
    call_at_most(priority) + ARRIVES_WITHIN
}

#[cfg(test)]
mod model;
