//! One update and what it asks for: something a person did, and what it says about the chat itself.

use std::sync::Arc;

use crate::access::admission::Gate;
use crate::chat::event::Incoming;
use crate::conversation::handler::Performer;
use crate::metrics;
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
    gate: Gate,
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
            Some(Work { update_id, chat_id, standing, incoming, gate: Gate::Open })
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
            gate: Gate::Open,
        }
    }

    /// Asks at the gate. For when it comes, before it waits for its turn.
    pub(crate) async fn admit(mut self, performer: &Performer) -> Self {
        if let Some(incoming) = &self.incoming {
            self.gate = performer.gate(incoming).await;
        }
        self
    }

    /// Handles it. False when it has to be handled again: the process is shutting down.
    pub(crate) async fn handle(&self, performer: &Arc<Performer>) -> bool {
        let sender = &performer.sender;
        match self.standing {
            Standing::There => sender.heard_from(self.chat_id).await,
            Standing::ShutOut => sender.shut_out(self.chat_id).await,
            Standing::Was(old) => sender.moved(old, self.chat_id).await,
            Standing::Is(new) => sender.moved(self.chat_id, new).await,
        }
        match (&self.incoming, self.gate) {
            (Some(incoming), Gate::Open) => performer.handle(incoming).await,
            (Some(incoming), Gate::Shut) => performer.turn_away(incoming, None).await,
            (Some(incoming), Gate::ShutWith(sentence)) => {
                performer.turn_away(incoming, Some(sentence)).await
            }
            (None, _) => true,
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
