//! Turns an update into an event, or gives the rule by which it is ignored.

use super::update::{Message, Press, UnreadableSender, Update};
use crate::chat::address::ChatAddress;
use crate::chat::event::{Event, Incoming};
use crate::chat::text::Lang;

/// Who the bot is.
#[derive(Debug, Clone, Copy)]
pub struct BotIdentity<'a> {
    /// Its number.
    pub id: u64,
    /// Its name, without `@`.
    pub username: &'a str,
}

/// Why an update is ignored. A label of metrics, and a rule in docs/telegram.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IgnoreReason {
    /// The bot did not ask for this kind.
    Kind,
    /// A service message: it reports a change of the chat.
    Service,
    /// A bot wrote it.
    Bot,
    /// In a group, and not addressed to this bot.
    NotForUs,
    /// In a group, without a sender.
    Nobody,
}

impl IgnoreReason {
    /// Label in metrics and logs.
    pub fn label(self) -> &'static str {
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
/// The rule by which the update is ignored.
pub fn read(update_id: u32, update: Update, me: BotIdentity<'_>) -> Result<Incoming, IgnoreReason> {
    let (address, language, origin, event) = match update {
        Update::Message(message) => message_event(*message, me)?,
        Update::Press(press) => press_event(press),
        Update::Membership { .. } | Update::Other => return Err(IgnoreReason::Kind),
    };
    Ok(Incoming { update_id, origin, address, language, event })
}

/// The event for a message or press that cannot be read. None for a message in a group: it may not be for this bot.
pub fn unreadable(update_id: u32, sender: UnreadableSender) -> Option<Incoming> {
    let event = match sender.press {
        // A press without readable data is answered as a stale button.
        Some(query_id) => Event::Press { query_id, message_id: 0, data: String::new() },
        None if sender.chat.private => Event::Unreadable,
        None => return None,
    };
    let address = ChatAddress {
        chat_id: sender.chat.id,
        owner: sender.from.id,
        thread: sender.topic,
        reply_to: None,
    };
    let language = lang(sender.from.language.as_deref());
    Some(Incoming { update_id, origin: format!("u{update_id}"), address, language, event })
}

fn message_event(
    message: Message,
    me: BotIdentity<'_>,
) -> Result<(ChatAddress, Lang, String, Event), IgnoreReason> {
    let chat = message.chat;
    let from = message.from.as_ref();
    // Messages in a chat's name belong to that chat: it has a session, and its administrators may press its buttons.
    let owner = match (message.sender_chat.filter(|_| !chat.private), from) {
        (Some(sender), _) => sender,
        (None, Some(person)) if person.bot => return Err(IgnoreReason::Bot),
        (None, Some(person)) => person.id,
        (None, None) => return Err(IgnoreReason::Nobody),
    };
    let answers_us = message.answers.is_some_and(|author| u64::try_from(author) == Ok(me.id));
    let event = match message.words {
        Some(words) => {
            let to_us = chat.private || answers_us;
            Event::read_text(&words, me.username, to_us).ok_or(IgnoreReason::NotForUs)?
        }
        None if message.service => return Err(IgnoreReason::Service),
        None if chat.private => Event::NoText { album: message.album },
        // Pictures in a group are not addressed to the bot.
        None => return Err(IgnoreReason::NotForUs),
    };
    // A channel's post that mentions the bot is no question; a command is one.
    if message.automatic_forward && !chat.private && !matches!(event, Event::Command { .. }) {
        return Err(IgnoreReason::NotForUs);
    }
    let address = ChatAddress {
        chat_id: chat.id,
        owner,
        thread: message.topic,
        reply_to: (!chat.private).then_some(message.id),
    };
    let language = lang(from.and_then(|person| person.language.as_deref()));
    Ok((address, language, format!("m{}:{}", chat.id, message.id), event))
}

fn press_event(press: Press) -> (ChatAddress, Lang, String, Event) {
    let owner = press.from.id;
    let language = lang(press.from.language.as_deref());
    let origin = format!("q{}", press.id);
    // Without its message a press is answered as a stale button, in the person's private chat.
    let (address, message_id, data) = match press.message {
        Some((chat, message_id, thread)) => (
            ChatAddress { chat_id: chat.id, owner, thread, reply_to: None },
            message_id,
            press.data.unwrap_or_default(),
        ),
        None => (ChatAddress { chat_id: owner, owner, ..ChatAddress::default() }, 0, String::new()),
    };
    let event = Event::Press { query_id: press.id, message_id: i64::from(message_id), data };
    (address, language, origin, event)
}

fn lang(code: Option<&str>) -> Lang {
    code.map_or(Lang::default(), Lang::of_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::updates::update::{self, Chat, User};

    const ME: BotIdentity<'_> = BotIdentity { id: 1, username: "freefans_bot" };
    const PRIVATE: &str =
        r#""chat":{"id":7,"type":"private"},"from":{"id":7,"language_code":"de"}"#;
    const GROUP: &str = r#""chat":{"id":-9,"type":"supergroup"}"#;

    fn of(update: &str) -> Result<Incoming, IgnoreReason> {
        let json = format!(r#"{{"update_id":5,{update}}}"#);
        read(5, update::read(json.as_bytes()).update.unwrap(), ME)
    }

    fn message(members: &str) -> Result<Incoming, IgnoreReason> {
        of(&format!(r#""message":{{"message_id":3,{members}}}"#))
    }

    #[test]
    fn whoever_writes_in_a_chats_name_is_that_chat_and_a_bot_is_nobody() {
        let command = r#""text":"/search@freefans_bot luna""#;
        let owner = |chat: &str, sender: &str| {
            message(&format!("{chat},{sender},{command}")).map(|incoming| incoming.address.owner)
        };
        let bot = r#""from":{"id":8,"is_bot":true}"#;
        assert_eq!(owner(GROUP, &format!(r#"{bot},"sender_chat":{{"id":-5}}"#)), Ok(-5));
        assert_eq!(owner(GROUP, r#""from":{"id":8},"sender_chat":{"id":-5}"#), Ok(-5));
        assert_eq!(owner(GROUP, r#""sender_chat":{"id":-5}"#), Ok(-5));
        assert_eq!(owner(GROUP, r#""from":{"id":8}"#), Ok(8));
        assert_eq!(owner(GROUP, bot), Err(IgnoreReason::Bot));
        assert_eq!(owner(GROUP, r#""from":null"#), Err(IgnoreReason::Nobody));
        let private = message(&format!(r#"{PRIVATE},"sender_chat":{{"id":-5}},{command}"#));
        assert_eq!(private.unwrap().address.owner, 7, "in a private chat there is one person");
    }

    #[test]
    fn in_a_group_only_what_is_for_us_is_read_and_is_answered_where_it_was_asked() {
        let asked =
            |more: &str| message(&format!(r#"{GROUP},"from":{{"id":8}},"text":"luna"{more}"#));
        let reply = |author: i64| format!(r#","reply_to_message":{{"from":{{"id":{author}}}}}"#);
        assert_eq!(asked("").unwrap_err(), IgnoreReason::NotForUs);
        assert_eq!(asked(&reply(2)).unwrap_err(), IgnoreReason::NotForUs);
        let topic = r#","message_thread_id":4,"is_topic_message":true"#;
        let place = asked(&format!("{}{topic}", reply(1))).unwrap().address;
        assert_eq!(
            place,
            ChatAddress { chat_id: -9, owner: 8, thread: Some(4), reply_to: Some(3) }
        );
        let private = message(&format!(r#"{PRIVATE},"text":"luna""#)).unwrap();
        assert_eq!(private.address, ChatAddress { chat_id: 7, owner: 7, ..ChatAddress::default() });
        assert_eq!(private.language, Lang::of_code("de"));
    }

    #[test]
    fn an_album_is_known_by_its_name() {
        let picture = message(&format!(r#"{PRIVATE},"photo":[],"media_group_id":"a""#)).unwrap();
        assert_eq!(picture.event, Event::NoText { album: Some("a".to_owned()) });
    }

    #[test]
    fn a_press_acts_where_its_message_is_and_without_one_with_whoever_pressed() {
        let pressed = |more: &str| {
            of(&format!(r#""callback_query":{{"id":"77","from":{{"id":8}},"data":"d"{more}}}"#))
                .unwrap()
        };
        let topic = r#""message_thread_id":4,"is_topic_message":true"#;
        let there = pressed(&format!(r#","message":{{"message_id":3,{GROUP},{topic}}}"#));
        let event = |message_id, data: &str| Event::Press {
            query_id: "77".to_owned(),
            message_id,
            data: data.to_owned(),
        };
        assert_eq!(
            there.address,
            ChatAddress { chat_id: -9, owner: 8, thread: Some(4), reply_to: None }
        );
        assert_eq!(there.event, event(3, "d"));
        let nowhere = pressed("");
        assert_eq!(nowhere.address, ChatAddress { chat_id: 8, owner: 8, ..ChatAddress::default() });
        assert_eq!(nowhere.event, event(0, ""));
    }

    #[test]
    fn whoever_sent_what_cannot_be_read_is_told_where_that_is_for_us() {
        let from = User { id: 8, language: Some("de".to_owned()), ..User::default() };
        let sender = |private, press: Option<&str>| UnreadableSender {
            chat: Chat { id: if private { 8 } else { -9 }, private },
            from: from.clone(),
            topic: Some(4),
            press: press.map(str::to_owned),
        };
        let told = unreadable(5, sender(true, None)).unwrap();
        assert_eq!((told.event, told.language), (Event::Unreadable, Lang::of_code("de")));
        assert_eq!(told.address.thread, Some(4));
        assert_eq!(unreadable(5, sender(false, None)), None, "it may not have been for us");
        let press = unreadable(5, sender(true, Some("77"))).unwrap();
        let nowhere =
            Event::Press { query_id: "77".to_owned(), message_id: 0, data: String::new() };
        assert_eq!(press.event, nowhere);
    }
}
