//! From an update to an event, or the rule by which there is none.

use super::update::{Message, Press, Sender, Update};
use crate::chat::address::Place;
use crate::chat::event::{Event, Incoming};
use crate::chat::text::Lang;

/// Who the bot is.
#[derive(Debug, Clone, Copy)]
pub struct Me<'a> {
    /// Its number.
    pub id: u64,
    /// Its name, without `@`.
    pub username: &'a str,
}

/// Why nothing is said to an update. A label of metrics, and a rule in docs/telegram.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Silence {
    /// Its kind was not asked for.
    Kind,
    /// It reports a change of the chat, and nobody wrote anything.
    Service,
    /// A bot wrote it.
    Bot,
    /// In a group, and not for this bot.
    NotForUs,
    /// In a group, and it is not said by whom.
    Nobody,
}

impl Silence {
    /// One word of a closed set.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Service => "service",
            Self::Bot => "bot",
            Self::NotForUs => "not_for_us",
            Self::Nobody => "nobody",
        }
    }
}

/// What an update asks for.
///
/// # Errors
///
/// The rule by which nothing is said to it.
pub fn read(update_id: u32, update: Update, me: Me<'_>) -> Result<Incoming, Silence> {
    let (place, language, origin, event) = match update {
        Update::Message(message) => message_event(*message, me)?,
        Update::Press(press) => press_event(press),
        Update::Membership { .. } | Update::Other => return Err(Silence::Kind),
    };
    Ok(Incoming { update_id, origin, place, language, event })
}

/// What is said to somebody whose message or press cannot be read. A message in a group may not have been for us.
pub fn unreadable(update_id: u32, sender: Sender) -> Option<Incoming> {
    let event = match sender.press {
        // A button whose data cannot be read leads nowhere.
        Some(query_id) => Event::Press { query_id, message_id: 0, data: String::new() },
        None if sender.chat.private => Event::Unreadable,
        None => return None,
    };
    let place = Place {
        chat_id: sender.chat.id,
        owner: sender.from.id,
        thread: sender.topic,
        reply_to: None,
    };
    let language = lang(sender.from.language.as_deref());
    Some(Incoming { update_id, origin: format!("u{update_id}"), place, language, event })
}

fn message_event(message: Message, me: Me<'_>) -> Result<(Place, Lang, String, Event), Silence> {
    let chat = message.chat;
    let from = message.from.as_ref();
    // Who writes in a chat's name is that chat: there it has a session, and its buttons are of whoever has that role.
    let owner = match (message.sender_chat.filter(|_| !chat.private), from) {
        (Some(sender), _) => sender,
        (None, Some(person)) if person.bot => return Err(Silence::Bot),
        (None, Some(person)) => person.id,
        (None, None) => return Err(Silence::Nobody),
    };
    let answers_us = message.answers.is_some_and(|author| u64::try_from(author) == Ok(me.id));
    let event = match message.words {
        Some(words) => {
            let to_us = chat.private || answers_us;
            Event::read_text(&words, me.username, to_us).ok_or(Silence::NotForUs)?
        }
        None if message.service => return Err(Silence::Service),
        None if chat.private => Event::NoText { album: message.album },
        // Pictures in a group are nobody's question.
        None => return Err(Silence::NotForUs),
    };
    // That a channel names the bot in a post is no question; a command is one.
    if message.automatic_forward && !chat.private && !matches!(event, Event::Command { .. }) {
        return Err(Silence::NotForUs);
    }
    let place = Place {
        chat_id: chat.id,
        owner,
        thread: message.topic,
        reply_to: (!chat.private).then_some(message.id),
    };
    let language = lang(from.and_then(|person| person.language.as_deref()));
    Ok((place, language, format!("m{}:{}", chat.id, message.id), event))
}

fn press_event(press: Press) -> (Place, Lang, String, Event) {
    let owner = press.from.id;
    let language = lang(press.from.language.as_deref());
    let origin = format!("q{}", press.id);
    // Without its message a button leads nowhere, and is told so in the chat of whoever pressed it.
    let (place, message_id, data) = match press.message {
        Some((chat, message_id, thread)) => (
            Place { chat_id: chat.id, owner, thread, reply_to: None },
            message_id,
            press.data.unwrap_or_default(),
        ),
        None => (Place { chat_id: owner, owner, ..Place::default() }, 0, String::new()),
    };
    let event = Event::Press { query_id: press.id, message_id: i64::from(message_id), data };
    (place, language, origin, event)
}

fn lang(code: Option<&str>) -> Lang {
    code.map_or(Lang::default(), Lang::of_code)
}
