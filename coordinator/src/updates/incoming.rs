//! From Telegram's update to an event.

use teloxide_core::types::{CallbackQuery, Chat, Message, MessageKind, Update, UpdateKind, User};

use crate::event::{Event, Incoming, Place};
use crate::text::Lang;

/// Who the bot is.
#[derive(Debug, Clone, Copy)]
pub struct Me<'a> {
    /// Its number.
    pub id: u64,
    /// Its name, without `@`.
    pub username: &'a str,
}

/// What an update is about; none when it is not for us.
pub fn read(update: Update, me: Me<'_>) -> Option<Incoming> {
    let update_id = update.id.0;
    let (place, language, origin, event) = match update.kind {
        UpdateKind::Message(message) => message_event(&message, me)?,
        UpdateKind::CallbackQuery(query) => press_event(query)?,
        UpdateKind::Error(_) => {
            tracing::warn!(update_id, "an update cannot be read; passed over");
            return None;
        }
        _ => return None,
    };
    Some(Incoming { update_id, origin, place, language, event })
}

fn message_event(message: &Message, me: Me<'_>) -> Option<(Place, Lang, String, Event)> {
    let person = message.from.as_ref().filter(|person| !person.is_bot)?;
    let private = message.chat.is_private();
    let answered = message.reply_to_message().and_then(|answered| answered.from.as_ref());
    let to_us = private || answered.is_some_and(|author| author.id.0 == me.id);
    let event = match message.text().or_else(|| message.caption()) {
        Some(text) => Event::read_text(text, me.username, to_us)?,
        // Pictures in a group are nobody's question, and that something was pinned is nobody's anywhere.
        None if private && matches!(message.kind, MessageKind::Common(_)) => {
            Event::NoText { album: message.media_group_id().map(|id| id.0.clone()) }
        }
        None => return None,
    };
    let mut place = place(&message.chat, person, message)?;
    place.reply_to = (!private).then_some(message.id.0);
    Some((place, lang(person), format!("m{}:{}", place.chat_id, message.id.0), event))
}

fn press_event(query: CallbackQuery) -> Option<(Place, Lang, String, Event)> {
    let message = query.message?;
    let place = match message.regular_message() {
        Some(message) => place(&message.chat, &query.from, message)?,
        None => Place {
            chat_id: message.chat().id.0,
            owner: user_id(query.from.id.0)?,
            ..Place::default()
        },
    };
    let origin = format!("q{}", query.id.0);
    let event = Event::Press {
        query_id: query.id.0,
        message_id: i64::from(message.id().0),
        data: query.data.unwrap_or_default(),
    };
    Some((place, lang(&query.from), origin, event))
}

fn place(chat: &Chat, person: &User, message: &Message) -> Option<Place> {
    let thread = message.thread_id.filter(|_| message.is_topic_message);
    Some(Place {
        chat_id: chat.id.0,
        owner: user_id(person.id.0)?,
        thread: thread.map(|thread| thread.0.0),
        reply_to: None,
    })
}

fn lang(person: &User) -> Lang {
    person.language_code.as_deref().map_or(Lang::default(), Lang::of_code)
}

fn user_id(id: u64) -> Option<i64> {
    i64::try_from(id).ok()
}
