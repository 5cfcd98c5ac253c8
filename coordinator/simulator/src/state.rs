//! What the simulated Telegram knows: chats, updates, events.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::faults::Fault;
use crate::markup::Formatted;

/// Messages kept per chat; older ones cannot be edited any more.
const KEEP_MESSAGES: usize = 500;
/// Events kept; a reader that is further behind has lost some.
const KEEP_EVENTS: usize = 20_000;
/// Updates kept for a bot that does not fetch them.
const KEEP_UPDATES: usize = 100_000;
/// Callback answers shown on the page.
const KEEP_TOASTS: usize = 5;
/// How long "typing" lasts, in ms.
const TYPING_MS: u64 = 5_000;

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) first_name: String,
    pub(crate) language_code: String,
}

/// One message in a chat.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) from_bot: bool,
    pub(crate) author: Person,
    pub(crate) date: u64,
    pub(crate) date_ms: u64,
    pub(crate) body: Formatted,
    pub(crate) keyboard: Option<Value>,
    pub(crate) edits: u32,
}

/// One chat.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    pub(crate) messages: VecDeque<Message>,
    pub(crate) typing_until_ms: u64,
    pub(crate) reply_keyboard: Option<Value>,
    pub(crate) toasts: VecDeque<Value>,
    pub(crate) sent_at: VecDeque<Instant>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) chat_id: i64,
    pub(crate) body: Value,
}

/// Where updates are pushed instead of being fetched.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    pub(crate) bot_id: i64,
    pub(crate) limits: bool,
    pub(crate) chats: BTreeMap<i64, Chat>,
    pub(crate) updates: VecDeque<Value>,
    pub(crate) confirmed: i64,
    /// Changes with each getUpdates: an earlier one that still waits has been replaced.
    pub(crate) poll: u64,
    /// getUpdates calls that wait at the moment.
    pub(crate) polling: usize,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) commands: Value,
    pub(crate) faults: Vec<Fault>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) calls: BTreeMap<String, u64>,
    pub(crate) errors: BTreeMap<u16, u64>,
    pub(crate) sent_at: VecDeque<Instant>,
    open_callbacks: BTreeMap<String, i64>,
    next_update: i64,
    next_message: i64,
    next_callback: u64,
    seq: u64,
}

impl State {
    pub(crate) fn new(token: &str) -> Self {
        let bot_id = token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(123_456);
        Self {
            bot_id,
            limits: false,
            chats: BTreeMap::new(),
            updates: VecDeque::new(),
            confirmed: 0,
            poll: 0,
            polling: 0,
            webhook: None,
            commands: json!([]),
            faults: Vec::new(),
            events: VecDeque::new(),
            calls: BTreeMap::new(),
            errors: BTreeMap::new(),
            sent_at: VecDeque::new(),
            open_callbacks: BTreeMap::new(),
            next_update: 1_000,
            next_message: 1,
            next_callback: 1,
            seq: 0,
        }
    }

    /// The bot as a `User`.
    pub(crate) fn bot(&self) -> Value {
        json!({
            "id": self.bot_id, "is_bot": true, "first_name": "FreeFans", "username": "freefans_bot",
            "can_join_groups": true, "can_read_all_group_messages": false,
            "supports_inline_queries": false, "can_connect_to_business": false,
            "has_main_web_app": false, "has_topics_enabled": false,
            "allows_users_to_create_topics": false,
        })
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, chat_id: i64, kind: &str, mut body: Value) {
        self.seq += 1;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("seq".to_owned(), self.seq.into());
            fields.insert("at_ms".to_owned(), now_ms().into());
            fields.insert("kind".to_owned(), kind.into());
        }
        if KEEP_EVENTS <= self.events.len() {
            self.events.pop_front();
        }
        self.events.push_back(Event { seq: self.seq, chat_id, body });
    }

    /// A person writes. Returns the update's and the message's id.
    pub(crate) fn person_writes(
        &mut self,
        chat_id: i64,
        person: Person,
        body: Formatted,
    ) -> (i64, i64) {
        let message = self.add_message(chat_id, person, false, body, None);
        let rendered = self.render_message(chat_id, &message);
        let update = self.push_update("message", rendered);
        self.note(
            chat_id,
            "user_message",
            json!({"message_id": message.id, "text": message.body.text}),
        );
        (update, message.id)
    }

    /// A person presses a button that the message really has. Returns the update's and the query's id.
    pub(crate) fn person_presses(
        &mut self,
        chat_id: i64,
        person: &Person,
        message_id: i64,
        data: &str,
    ) -> Result<(i64, String), &'static str> {
        let message = self.message(chat_id, message_id).ok_or("there is no such message")?.clone();
        if !has_button(message.keyboard.as_ref(), data) {
            return Err("the message has no button with this data");
        }
        let id = format!("cb{}", self.next_callback);
        self.next_callback += 1;
        self.open_callbacks.insert(id.clone(), chat_id);
        let rendered = self.render_message(chat_id, &message);
        let query = json!({
            "id": id, "from": user(person), "message": rendered,
            "chat_instance": chat_id.to_string(), "data": data,
        });
        let update = self.push_update("callback_query", query);
        self.note(chat_id, "button_press", json!({"message_id": message_id, "data": data}));
        Ok((update, id))
    }

    /// Closes a callback query; the chat it came from, or none when it is not open.
    pub(crate) fn close_callback(&mut self, id: &str) -> Option<i64> {
        self.open_callbacks.remove(id)
    }

    fn push_update(&mut self, kind: &str, body: Value) -> i64 {
        let id = self.next_update;
        self.next_update += 1;
        let mut update = Map::new();
        update.insert("update_id".to_owned(), id.into());
        update.insert(kind.to_owned(), body);
        if KEEP_UPDATES <= self.updates.len() {
            self.updates.pop_front();
        }
        self.updates.push_back(Value::Object(update));
        id
    }

    /// Confirms updates before `offset`, gives the rest.
    pub(crate) fn take_updates(&mut self, offset: i64, limit: usize) -> Vec<Value> {
        if offset < 0 {
            let keep = usize::try_from(-offset).unwrap_or(usize::MAX);
            while keep < self.updates.len() {
                self.updates.pop_front();
            }
        } else {
            while self.updates.front().is_some_and(|update| update_id(update) < offset) {
                self.updates.pop_front();
            }
            self.confirmed = self.confirmed.max(offset);
        }
        self.updates.iter().take(limit).cloned().collect()
    }

    /// Adds a message to a chat.
    pub(crate) fn add_message(
        &mut self,
        chat_id: i64,
        author: Person,
        from_bot: bool,
        body: Formatted,
        keyboard: Option<Value>,
    ) -> Message {
        let id = self.next_message;
        self.next_message += 1;
        let date_ms = now_ms();
        let message = Message {
            id,
            from_bot,
            author,
            date: date_ms / 1_000,
            date_ms,
            body,
            keyboard,
            edits: 0,
        };
        let chat = self.chats.entry(chat_id).or_default();
        if KEEP_MESSAGES <= chat.messages.len() {
            chat.messages.pop_front();
        }
        chat.messages.push_back(message.clone());
        if from_bot {
            chat.typing_until_ms = 0;
        }
        message
    }

    pub(crate) fn message(&self, chat_id: i64, message_id: i64) -> Option<&Message> {
        self.chats.get(&chat_id)?.messages.iter().find(|message| message.id == message_id)
    }

    pub(crate) fn message_mut(&mut self, chat_id: i64, message_id: i64) -> Option<&mut Message> {
        self.chats.get_mut(&chat_id)?.messages.iter_mut().find(|message| message.id == message_id)
    }

    pub(crate) fn bot_person(&self) -> Person {
        Person {
            id: self.bot_id,
            first_name: "FreeFans".to_owned(),
            language_code: "en".to_owned(),
        }
    }

    pub(crate) fn start_typing(&mut self, chat_id: i64) {
        if let Some(chat) = self.chats.get_mut(&chat_id) {
            chat.typing_until_ms = now_ms() + TYPING_MS;
        }
    }

    pub(crate) fn add_toast(&mut self, chat_id: i64, text: &str, alert: bool) {
        if let Some(chat) = self.chats.get_mut(&chat_id) {
            if KEEP_TOASTS <= chat.toasts.len() {
                chat.toasts.pop_front();
            }
            chat.toasts.push_back(json!({"text": text, "alert": alert, "at_ms": now_ms()}));
        }
    }

    /// A message as Telegram's `Message` object.
    pub(crate) fn render_message(&self, chat_id: i64, message: &Message) -> Value {
        let from = if message.from_bot { self.bot() } else { user(&message.author) };
        let chat = if chat_id < 0 {
            json!({"id": chat_id, "type": "supergroup", "title": format!("Group {}", -chat_id)})
        } else {
            json!({"id": chat_id, "type": "private", "first_name": format!("User {chat_id}")})
        };
        let mut rendered = json!({
            "message_id": message.id, "from": from, "chat": chat, "date": message.date,
            "text": message.body.text,
        });
        if let Some(fields) = rendered.as_object_mut() {
            if !message.body.entities.is_empty() {
                fields.insert("entities".to_owned(), message.body.entities.clone().into());
            }
            if let Some(keyboard) = &message.keyboard {
                fields.insert("reply_markup".to_owned(), keyboard.clone());
            }
            if 0 < message.edits {
                fields.insert("edit_date".to_owned(), (now_ms() / 1_000).into());
            }
        }
        rendered
    }
}

/// An update's number.
pub(crate) fn update_id(update: &Value) -> i64 {
    update.get("update_id").and_then(Value::as_i64).unwrap_or(0)
}

fn user(person: &Person) -> Value {
    json!({
        "id": person.id, "is_bot": false, "first_name": person.first_name,
        "language_code": person.language_code,
    })
}

fn has_button(keyboard: Option<&Value>, data: &str) -> bool {
    buttons(keyboard)
        .iter()
        .flatten()
        .any(|button| button.get("data").and_then(Value::as_str) == Some(data))
}

/// An inline keyboard as rows of `{text, data?, url?}`.
pub(crate) fn buttons(keyboard: Option<&Value>) -> Vec<Vec<Value>> {
    let rows = keyboard.and_then(|keyboard| keyboard.get("inline_keyboard")?.as_array());
    rows.into_iter()
        .flatten()
        .map(|row| {
            row.as_array()
                .into_iter()
                .flatten()
                .map(|button| {
                    let mut shown = Map::new();
                    for (from, to) in [("text", "text"), ("callback_data", "data"), ("url", "url")]
                    {
                        if let Some(value) = button.get(from) {
                            shown.insert(to.to_owned(), value.clone());
                        }
                    }
                    Value::Object(shown)
                })
                .collect()
        })
        .collect()
}

/// This machine's clock in ms since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
