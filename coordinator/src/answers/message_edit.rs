//! Edits messages to answers and turned pages.
//!
//! The latest request wins. Redis keeps the order for all coordinators ([`Revision`]). Here an edit waits a moment
//! for older edits in flight to the same message. Then it is sent beside them, and repeated when they have arrived or cannot
//! arrive any more.

use std::time::Duration;

use tokio::time::Instant;

use crate::chat::address::ChatAddress;
use crate::chat::screen::Screen;
use crate::session_store::SessionStore;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::{EditOutcome, Priority, Revision, Sender};

/// How long to wait for older edits in flight: longer than a usual call, and short enough that people do not press again.
const WAITS_FOR_OTHERS: Duration = Duration::from_secs(1);
/// How often to check whether they have arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Pause before an edit that was sent beside others is repeated.
pub(crate) const REPEATED_AFTER: Duration = Duration::from_millis(500);

/// An edit of a message, over all its attempts.
#[derive(Debug)]
pub(crate) struct MessageEdit {
    revision: Revision,
    /// Since when it waits for older ones.
    waits_since: Option<Instant>,
    /// The message shows it, and an older edit may still replace it.
    beside: bool,
    /// The message is gone, or what it shows is unknown: the text is sent as a new message.
    pub(crate) instead: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Nothing is left to be done: the text is shown, or something newer is.
    Done,
    /// The text is shown, and has to be sent again after [`REPEATED_AFTER`].
    Again,
}

impl MessageEdit {
    /// An edit to what was asked at `turn`.
    pub(crate) fn new(message_id: i64, turn: u64) -> Self {
        let revision = Revision::answer(message_id, turn);
        Self { revision, waits_since: None, beside: false, instead: false }
    }

    /// The message that was edited; none when a new one was sent in its place.
    pub(crate) fn shown_in(&self) -> Option<i64> {
        (!self.instead).then_some(self.revision.message_id)
    }

    /// Whether it is sent although an older edit is in flight.
    fn goes_beside(&self) -> bool {
        // The repetition waits until no older edit is in flight.
        !self.beside && self.waits_since.is_some_and(|since| since.elapsed() >= WAITS_FOR_OTHERS)
    }
}

/// Edits messages in the order in which people asked. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct MessageEditor {
    sender: Sender,
    sessions: SessionStore,
}

impl MessageEditor {
    /// Edits through `sender`; `sessions` say which turns are known.
    pub(crate) fn new(sender: Sender, sessions: SessionStore) -> Self {
        Self { sender, sessions }
    }

    /// Tries to edit a message.
    ///
    /// # Errors
    ///
    /// [`BotError`]; [`BotError::MessageGone`] for the caller to decide whether it is sent instead
    /// ([`MessageEdit::instead`]).
    pub(crate) async fn attempt(
        &self,
        address: &ChatAddress,
        edit: &mut MessageEdit,
        screen: &Screen,
        priority: Priority,
    ) -> Result<Attempt, BotError> {
        loop {
            let revision = edit.revision;
            let beside = edit.goes_beside();
            let edited = if edit.instead {
                self.sender.send_instead(address, revision, screen, priority, beside).await
            } else {
                self.sender.edit(address, revision, screen, priority, beside).await
            };
            match edited? {
                EditOutcome::Shown => return Ok(Attempt::Done),
                EditOutcome::Beside => {
                    edit.beside = true;
                    return Ok(Attempt::Again);
                }
                EditOutcome::Busy if edit.beside => return Ok(Attempt::Again),
                EditOutcome::Busy => {
                    edit.waits_since.get_or_insert_with(Instant::now);
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                EditOutcome::Superseded { by } => {
                    let known = self
                        .sessions
                        .update(address.session_key(), |session| session.knows_turn(by));
                    match known.await {
                        Ok(true) => return Ok(Attempt::Done),
                        // The session was set back, so the order is unknown: both are shown.
                        Ok(false) => {
                            edit.revision.turn = by.saturating_add(1);
                            edit.instead = true;
                        }
                        Err(error) => return Err(BotError::Transient(error.to_string())),
                    }
                }
            }
        }
    }
}
