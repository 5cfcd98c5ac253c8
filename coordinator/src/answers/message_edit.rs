//! Every change of a message to what somebody asked for goes through here: answers and turned pages.
//!
//! What was asked later is what stands. The order is kept in Redis, for all coordinators ([`Revision`]); here is how a
//! change behaves towards others that are on their way to the same message. It waits for them for a moment, then it goes
//! beside them and is repeated when they have arrived or cannot any more.

use std::time::Duration;

use tokio::time::Instant;

use crate::chat::address::Place;
use crate::chat::screen::Screen;
use crate::conversation::handler::Performer;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::{Edited, Revision, Urgency};

/// How long older changes on their way are waited for: longer than a call usually takes, and not so long that somebody
/// presses again.
const WAITS_FOR_OTHERS: Duration = Duration::from_secs(1);
/// How often it is looked whether they have arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Pause before a change that went beside others is tried again.
pub(crate) const REPEATED_AFTER: Duration = Duration::from_millis(500);

/// A change of a message, over all its attempts.
#[derive(Debug)]
pub(crate) struct MessageChange {
    revision: Revision,
    /// Since when it waits for older ones.
    waits_since: Option<Instant>,
    /// It is in the chat, and something older may still cover it.
    beside: bool,
    /// The message is gone, or nobody knows what it shows: what it was to show is sent as a new one.
    pub(crate) instead: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Nothing is left to be done: it is shown, or something newer is.
    Done,
    /// It is shown, and has to be tried again after [`REPEATED_AFTER`].
    Again,
}

impl MessageChange {
    /// A change to what was asked at `turn`.
    pub(crate) fn new(message_id: i64, turn: u64) -> Self {
        let revision = Revision::answer(message_id, turn);
        Self { revision, waits_since: None, beside: false, instead: false }
    }

    /// Whether it goes although something older is on its way.
    fn goes_beside(&self) -> bool {
        // Again only when it is the last.
        !self.beside && self.waits_since.is_some_and(|since| WAITS_FOR_OTHERS <= since.elapsed())
    }
}

impl Performer {
    /// Tries to change a message.
    ///
    /// # Errors
    ///
    /// [`BotError`]; [`BotError::MessageGone`] for the caller to decide whether it is sent instead
    /// ([`MessageChange::instead`]).
    pub(crate) async fn change(
        &self,
        place: &Place,
        change: &mut MessageChange,
        screen: &Screen,
        urgency: Urgency,
    ) -> Result<Changed, BotError> {
        let sender = &self.sender;
        loop {
            let revision = change.revision;
            let beside = change.goes_beside();
            let edited = if change.instead {
                sender.send_instead(place, revision, screen, urgency, beside).await
            } else {
                sender.edit(place, revision, screen, urgency, beside).await
            };
            match edited? {
                Edited::Shown => return Ok(Changed::Done),
                Edited::Beside => {
                    change.beside = true;
                    return Ok(Changed::Again);
                }
                Edited::Busy if change.beside => return Ok(Changed::Again),
                Edited::Busy => {
                    change.waits_since.get_or_insert_with(Instant::now);
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Edited::Overtaken { by } => {
                    let known = self.sessions.update(place.who(), |session| session.knows_turn(by));
                    match known.await {
                        Ok(true) => return Ok(Changed::Done),
                        // The session was set back, so nobody can tell which is later: both are shown.
                        Ok(false) => {
                            change.revision.turn = by.saturating_add(1);
                            change.instead = true;
                        }
                        Err(error) => return Err(BotError::Transient(error.to_string())),
                    }
                }
            }
        }
    }
}
