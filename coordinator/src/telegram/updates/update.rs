//! An update, reduced to what this bot needs: small types of our own, read field by field from the JSON.
//!
//! The Bot API grows every few weeks. Only the fields named here are read, so new and missing fields change nothing. An
//! optional field that cannot be read counts as missing. Without a required field the update is [`Unreadable`]; its sender
//! is read if possible, so that they can be told.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use queue::json::{Members, Unreadable};

use super::service::SERVICE;

/// Deepest nesting of a rich message that is read.
const RICH_DEEPEST: usize = 32;

/// One element of a `getUpdates` answer, or the body of a webhook request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedUpdate {
    /// Its update id; none when that cannot be read.
    pub id: Option<u32>,
    /// What it says.
    pub update: Result<Update, Unreadable>,
    /// Who may have sent it, when it cannot be read.
    pub sender: Option<UnreadableSender>,
    /// Hash of an update without an id, to recognise it when it comes again.
    pub nameless: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A new message.
    Message(Box<Message>),
    /// A pressed button.
    Press(Press),
    /// The bot was added to a chat, removed or blocked.
    Membership {
        /// Which chat.
        chat_id: i64,
        /// Whether the bot can write there; none for an unknown status.
        present: Option<bool>,
    },
    /// A kind of update that the bot did not ask for.
    Other,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its message id.
    pub id: i32,
    /// Where.
    pub chat: Chat,
    /// The person that Telegram names as its sender.
    pub from: Option<User>,
    /// The chat in whose name it was written: the group itself by an anonymous administrator, or a channel.
    pub sender_chat: Option<i64>,
    /// The topic, if it is in one.
    pub topic: Option<i32>,
    /// A channel's post that Telegram forwarded automatically to the channel's group.
    pub automatic_forward: bool,
    /// Who wrote the message that it replies to.
    pub answers: Option<i64>,
    /// The album that it is a part of.
    pub album: Option<String>,
    /// What it says in words: its text, its caption, or the text of a rich message.
    pub words: Option<String>,
    /// Whether it only reports a change of the chat.
    pub service: bool,
    /// The group has this id now.
    pub moved_to: Option<i64>,
    /// The group had this id before.
    pub moved_from: Option<i64>,
}

/// A chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chat {
    /// Its id.
    pub id: i64,
    /// Whether it is with one person.
    pub private: bool,
}

/// A person or a bot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Their id.
    pub id: i64,
    /// Whether they are a bot.
    pub bot: bool,
    /// The language of their Telegram.
    pub language: Option<String>,
}

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// The callback query's id.
    pub id: String,
    /// Who pressed.
    pub from: User,
    /// Chat, message id and topic of the message with the button; none when Telegram does not say.
    pub message: Option<(Chat, i32, Option<i32>)>,
    /// The button's callback data; none when it cannot be read.
    pub data: Option<String>,
}

/// Who sent an update that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableSender {
    /// Where.
    pub chat: Chat,
    /// The person.
    pub from: User,
    /// The topic.
    pub topic: Option<i32>,
    /// The callback query's id, when a button was pressed.
    pub press: Option<String>,
}

/// Where the next complete update begins in invalid JSON: an object after a comma or bracket that has an `update_id`. A
/// person's text cannot contain one, for its quotes are escaped.
pub fn begins(bytes: &[u8]) -> Option<usize> {
    let mut before = b',';
    for (at, byte) in bytes.iter().enumerate() {
        let here = *byte == b'{' && matches!(before, b',' | b'[');
        if here && Members::first_of(bytes.get(at..)?).is_ok_and(|first| first.has("update_id")) {
            return Some(at);
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
    }
    None
}

/// Reads one update.
pub fn read(json: &[u8]) -> ParsedUpdate {
    let Ok(members) = Members::of(json) else {
        let reason =
            if std::str::from_utf8(json).is_err() { Unreadable::Bytes } else { Unreadable::Syntax };
        let id = id_in(json);
        let nameless = id.is_none().then(|| fingerprint(json));
        return ParsedUpdate { id, update: Err(reason), sender: None, nameless };
    };
    let id = members.need::<u32>("update_id");
    let update = id.and_then(|_| update(&members));
    let sender = update.is_err().then(|| sender(&members)).flatten();
    let nameless = id.is_err().then(|| fingerprint(json));
    ParsedUpdate { id: id.ok(), update, sender, nameless }
}

fn fingerprint(json: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    hasher.finish()
}

/// The id of an update that is not valid JSON.
fn id_in(json: &[u8]) -> Option<u32> {
    let name = b"\"update_id\"";
    let at = json.windows(name.len()).position(|window| window == name)?;
    let key = matches!(json.get(..at)?.trim_ascii_end().last(), Some(b'{' | b','));
    let value = json.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?;
    let value = value.trim_ascii_start();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok().filter(|_| key)
}

fn update(members: &Members<'_>) -> Result<Update, Unreadable> {
    if members.has("message") {
        return Ok(Update::Message(Box::new(message(&members.object("message")?)?)));
    }
    if members.has("callback_query") {
        return Ok(Update::Press(press(&members.object("callback_query")?)?));
    }
    if members.has("my_chat_member") {
        let change = members.object("my_chat_member")?;
        return Ok(Update::Membership {
            chat_id: chat(&change.object("chat")?)?.id,
            present: present(&change),
        });
    }
    Ok(Update::Other)
}

/// Bot API, `ChatMember`: a restricted bot may be in the chat or not; `is_member` says which.
fn present(change: &Members<'_>) -> Option<bool> {
    let now = change.may_object("new_chat_member")?;
    match now.may::<String>("status")?.as_str() {
        "creator" | "administrator" | "member" => Some(true),
        "restricted" => Some(now.may("is_member").unwrap_or(true)),
        "left" | "kicked" => Some(false),
        _ => None,
    }
}

fn message(members: &Members<'_>) -> Result<Message, Unreadable> {
    let chat = chat(&members.object("chat")?)?;
    let from = match members.may_object("from").map(|from| user(&from)) {
        Some(Ok(from)) => Some(from),
        // The id of a chat with one person is theirs.
        _ if chat.private => Some(User { id: chat.id, ..User::default() }),
        Some(Err(error)) => return Err(error),
        None => None,
    };
    let answered = members.may_object("reply_to_message");
    Ok(Message {
        id: members.need("message_id")?,
        chat,
        from,
        sender_chat: members.may_object("sender_chat").and_then(|chat| chat.may("id")),
        topic: topic(members),
        automatic_forward: members.may("is_automatic_forward").unwrap_or(false),
        answers: answered.and_then(|message| message.may_object("from")?.may("id")),
        album: members.may("media_group_id"),
        words: words(members)?,
        service: SERVICE.iter().any(|name| members.has(name)),
        moved_to: members.may("migrate_to_chat_id"),
        moved_from: members.may("migrate_from_chat_id"),
    })
}

/// Its text. A text that cannot be read is an error, not a missing text.
fn words(members: &Members<'_>) -> Result<Option<String>, Unreadable> {
    for name in ["text", "caption"] {
        if let Some(words) = members.read(name)? {
            return Ok(Some(words));
        }
    }
    let mut words = String::new();
    if let Some(rich) = members.may::<Value>("rich_message") {
        rich_words(&rich, RICH_DEEPEST, &mut words);
    }
    Ok(Some(words.trim().to_owned()).filter(|words| !words.is_empty()))
}

/// The text of a rich message (Bot API 10.1, `RichMessage`), whatever its blocks are called.
fn rich_words(of: &Value, deepest: usize, words: &mut String) {
    let Some(deepest) = deepest.checked_sub(1) else { return };
    match of {
        Value::String(text) => words.push_str(text),
        Value::Array(parts) => {
            for part in parts {
                rich_words(part, deepest, words);
            }
        }
        Value::Object(block) => {
            for name in ["text", "summary", "blocks", "items", "cells"] {
                if let Some(inner) = block.get(name) {
                    rich_words(inner, deepest, words);
                }
            }
            if block.get("type").and_then(Value::as_str).is_some_and(|kind| BLOCKS.contains(&kind))
            {
                words.push('\n');
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Blocks that end a line.
const BLOCKS: [&str; 5] = ["paragraph", "heading", "pre", "footer", "pullquote"];

fn press(members: &Members<'_>) -> Result<Press, Unreadable> {
    let from = user(&members.object("from")?)?;
    let message = members.may_object("message").and_then(|message| {
        let chat = chat(&message.object("chat").ok()?).ok()?;
        Some((chat, message.may("message_id")?, topic(&message)))
    });
    Ok(Press { id: members.need("id")?, from, message, data: members.read("data")? })
}

fn chat(members: &Members<'_>) -> Result<Chat, Unreadable> {
    let id: i64 = members.need("id")?;
    // Bot API: the ids of groups and channels are negative.
    let private = match members.may::<String>("type") {
        Some(kind) => kind == "private",
        None => id > 0,
    };
    Ok(Chat { id, private: private && id > 0 })
}

fn user(members: &Members<'_>) -> Result<User, Unreadable> {
    Ok(User {
        id: members.need("id")?,
        bot: members.may("is_bot").unwrap_or(false),
        language: members.may("language_code"),
    })
}

fn topic(members: &Members<'_>) -> Option<i32> {
    members.may("message_thread_id").filter(|_| members.may("is_topic_message").unwrap_or(false))
}

/// Who sent an update that cannot be read, if that can be found out.
fn sender(members: &Members<'_>) -> Option<UnreadableSender> {
    if let Some(press) = members.may_object("callback_query") {
        let from = user(&press.object("from").ok()?).ok()?;
        let chat = Chat { id: from.id, private: true };
        return Some(UnreadableSender { chat, from, topic: None, press: Some(press.may("id")?) });
    }
    let message = members.may_object("message")?;
    let chat = chat(&message.object("chat").ok()?).ok()?;
    let from = match message.may_object("from").and_then(|from| user(&from).ok()) {
        Some(from) => from,
        None if chat.private => User { id: chat.id, ..User::default() },
        None => return None,
    };
    Some(UnreadableSender { chat, from, topic: topic(&message), press: None })
}

#[cfg(test)]
mod tests;
