//! One update and what it asks for: something a person did, and what it says about the chat itself.

use std::sync::Arc;

use crate::access::admission::{AccessControl, Admission};
use crate::chat::event::Incoming;
use crate::conversation::handler::Handler;
use crate::metrics;
use crate::shutdown::ShuttingDown;
use crate::telegram::send::Sender;
use crate::telegram::updates::incoming::{self, Me, Silence};
use crate::telegram::updates::update::{Message, Piece, Update};

/// An update that is for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    /// The update's number.
    pub(crate) update_id: u32,
    /// Updates of one chat are handled in order.
    pub(crate) chat_id: i64,
    standing: Standing,
    incoming: Option<Incoming>,
}

/// What an update says about its chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It can be written to.
    There,
    /// The bot was blocked or thrown out.
    ShutOut,
    /// It is the new id of this group.
    Was(i64),
    /// The group has this id now.
    Is(i64),
}

/// What an update asks for; none when it asks for nothing, which is counted, or cannot be read, which is counted and
/// logged by its number, never with what it says.
pub(crate) fn read(update_id: u32, piece: Piece, me: Me<'_>) -> Option<Work> {
    let update = match piece.update {
        Ok(update) => update,
        Err(error) => {
            metrics::update_unreadable(error.reason());
            tracing::warn!(update_id, reason = %error, "an update cannot be read; passed over");
            let incoming = incoming::unreadable(update_id, piece.sender?)?;
            return Some(Work::of(incoming));
        }
    };
    let told = standing(&update);
    match (told, incoming::read(update_id, update, me)) {
        (Some((chat_id, standing)), incoming) => {
            let incoming = incoming.ok();
            Some(Work { update_id, chat_id, standing, incoming })
        }
        (None, Ok(incoming)) => Some(Work::of(incoming)),
        (None, Err(silence)) => {
            passed_over(update_id, silence);
            None
        }
    }
}

fn passed_over(update_id: u32, silence: Silence) {
    metrics::update_passed_over(silence.reason());
    tracing::debug!(update_id, rule = silence.reason(), "nothing is said to an update");
}

fn standing(update: &Update) -> Option<(i64, Standing)> {
    match update {
        Update::Membership { chat_id, present } => {
            let standing = if (*present)? { Standing::There } else { Standing::ShutOut };
            Some((*chat_id, standing))
        }
        Update::Message(message) => {
            let Message { chat, moved_from, moved_to, .. } = message.as_ref();
            let standing = match (moved_from, moved_to) {
                (Some(old), _) => Standing::Was(*old),
                (None, Some(new)) => Standing::Is(*new),
                (None, None) => return None,
            };
            Some((chat.id, standing))
        }
        Update::Press(_) | Update::Other => None,
    }
}

impl Work {
    fn of(incoming: Incoming) -> Self {
        Self {
            update_id: incoming.update_id,
            chat_id: incoming.place.chat_id,
            standing: Standing::There,
            incoming: Some(incoming),
        }
    }
}

/// An update, and whether it is handled.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// What the update asks for.
    pub(crate) work: Work,
    admission: Admission,
}

/// Hands updates to those who deal with them.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    access: AccessControl,
    sender: Sender,
    handler: Handler,
}

impl Dispatcher {
    /// What `access` admits goes to `handler`; what an update says about its chat goes to `sender`.
    pub(crate) fn new(access: AccessControl, sender: Sender, handler: Handler) -> Arc<Self> {
        Arc::new(Self { access, sender, handler })
    }

    /// Decides whether an update is handled. For when it arrives, before it waits for its turn.
    pub(crate) async fn admit(&self, work: Work) -> Admitted {
        let admission = match &work.incoming {
            Some(incoming) => self.access.admit(incoming).await,
            None => Admission::Handle,
        };
        Admitted { work, admission }
    }

    /// Handles an update.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`]: it has to be handled again.
    pub(crate) async fn handle(&self, update: &Admitted) -> Result<(), ShuttingDown> {
        let Admitted { work, admission } = update;
        match work.standing {
            Standing::There => self.sender.heard_from(work.chat_id).await,
            Standing::ShutOut => self.sender.shut_out(work.chat_id).await,
            Standing::Was(old) => self.sender.moved(old, work.chat_id).await,
            Standing::Is(new) => self.sender.moved(work.chat_id, new).await,
        }
        let Some(incoming) = &work.incoming else { return Ok(()) };
        match admission {
            Admission::Handle => self.handler.handle(incoming).await,
            Admission::Ignore => self.handler.ignore(incoming, None).await,
            Admission::Reject(sentence) => self.handler.ignore(incoming, Some(sentence)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telegram::updates::update;

    fn parse(update: &Value) -> Option<Work> {
        let piece = update::read(update.to_string().as_bytes());
        read(5, piece, Me { id: 1, username: "freefans_bot" })
    }

    fn member(status: &str) -> Value {
        let bot = json!({"id": 1, "is_bot": true, "first_name": "b"});
        let chat = json!({"id": 7, "type": "private", "first_name": "a"});
        let person = json!({"id": 7, "is_bot": false, "first_name": "a"});
        let member = |status: &str| match status {
            "kicked" => json!({"user": bot, "status": status, "until_date": 0}),
            _ => json!({"user": bot, "status": status}),
        };
        json!({"update_id": 5, "my_chat_member": {
            "chat": chat, "from": person, "date": 1,
            "old_chat_member": member("member"), "new_chat_member": member(status),
        }})
    }

    #[test]
    fn it_is_seen_when_the_bot_is_blocked_and_when_it_is_let_in_again() {
        let standing = |status| parse(&member(status)).map(|work| (work.chat_id, work.standing));
        assert_eq!(standing("kicked"), Some((7, Standing::ShutOut)));
        assert_eq!(standing("member"), Some((7, Standing::There)));
        assert_eq!(standing("a status of the future"), None);
    }

    #[test]
    fn a_group_that_moves_says_so_on_both_sides() {
        let moving = |id: i64, field: &str, other: i64| {
            let mut message = json!({
                "message_id": 3, "date": 1, "chat": {"id": id, "type": "supergroup", "title": "g"},
                "from": {"id": 9, "is_bot": false, "first_name": "a"},
            });
            message[field] = other.into();
            let work = parse(&json!({"update_id": 5, "message": message}));
            work.map(|work| (work.chat_id, work.standing))
        };
        let new = -1_000_000_000_007;
        assert_eq!(moving(-7, "migrate_to_chat_id", new), Some((-7, Standing::Is(new))));
        assert_eq!(moving(new, "migrate_from_chat_id", -7), Some((new, Standing::Was(-7))));
    }
}
