//! Answers and turned pages replace a message's text here.
//!
//! What was asked later is what stays. Redis keeps the order for all coordinators ([`Revision`]); here is how an edit
//! behaves towards others that are on their way to the same message. It waits for them for a moment, then it goes beside
//! them and is repeated once they have arrived or cannot arrive any more.

use std::time::Duration;

use tokio::time::Instant;

use crate::chat::address::ChatAddress;
use crate::chat::screen::Screen;
use crate::session_store::SessionStore;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::{EditOutcome, Priority, Revision, Sender};

/// How long older edits on their way are waited for: longer than a call usually takes, and not so long that somebody
/// presses again.
const WAITS_FOR_OTHERS: Duration = Duration::from_secs(1);
/// How often it is checked whether they have arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Pause before an edit that went beside others is repeated.
pub(crate) const REPEATED_AFTER: Duration = Duration::from_millis(500);

/// An edit of a message, over all its attempts.
#[derive(Debug)]
pub(crate) struct MessageEdit {
    revision: Revision,
    /// Since when it waits for older ones.
    waits_since: Option<Instant>,
    /// It is in the chat, and something older may still cover it.
    beside: bool,
    /// The message is gone, or nobody knows what it shows: the text is sent as a new message.
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

    /// Whether it goes although something older is on its way.
    fn goes_beside(&self) -> bool {
        // Again only when it is the last.
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
                        // The session was set back, so nobody can tell which is later: both are shown.
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
