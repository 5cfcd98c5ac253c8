//! From Telegram's update to an event.

use teloxide_core::types::{CallbackQuery, Message, Update, UpdateKind};

use crate::event::{Event, Incoming};
use crate::session::store::Who;

/// What an update is about; none when it is not for us.
pub fn read(update: Update, username: &str) -> Option<Incoming> {
    let update_id = update.id.0;
    let (who, origin, event) = match update.kind {
        UpdateKind::Message(message) => message_event(&message, username)?,
        UpdateKind::CallbackQuery(query) => press_event(query)?,
        UpdateKind::Error(_) => {
            tracing::warn!(update_id, "an update cannot be read; passed over");
            return None;
        }
        _ => return None,
    };
    Some(Incoming { update_id, origin, who, event })
}

fn message_event(message: &Message, username: &str) -> Option<(Who, String, Event)> {
    let person = message.from.as_ref().filter(|person| !person.is_bot)?;
    let private = message.chat.is_private();
    let event = match message.text() {
        Some(text) => Event::read_text(text, username, private)?,
        // Service messages and pictures in a group are nobody's question.
        None if private => Event::NoText,
        None => return None,
    };
    let who = Who { chat_id: message.chat.id.0, user_id: user_id(person.id.0)? };
    Some((who, format!("m{}:{}", who.chat_id, message.id.0), event))
}

fn press_event(query: CallbackQuery) -> Option<(Who, String, Event)> {
    let message = query.message?;
    let who = Who { chat_id: message.chat().id.0, user_id: user_id(query.from.id.0)? };
    let origin = format!("q{}", query.id.0);
    let event = Event::Press {
        query_id: query.id.0,
        message_id: i64::from(message.id().0),
        data: query.data.unwrap_or_default(),
    };
    Some((who, origin, event))
}

fn user_id(id: u64) -> Option<i64> {
    i64::try_from(id).ok()
}
