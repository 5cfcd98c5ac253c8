//! What the simulated Telegram knows: chats, people, updates, events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::faults::Fault;
use crate::keyboard;
use crate::limits::Limits;
use crate::markup;
use crate::menus::Menus;
use crate::message::{Content, Message};
use crate::people::{ChatInfo, MemberStatus, Person, PersonFields};
use crate::updates::UpdateQueue;

/// The bot's name in mentions and commands.
pub(crate) const USERNAME: &str = "freefans_bot";
/// Messages kept per chat; older ones cannot be edited any more.
const KEEP_MESSAGES: usize = 500;
/// Events kept; a reader that is further behind has lost some.
const KEEP_EVENTS: usize = 20_000;
/// Callback answers shown on the page.
const KEEP_TOASTS: usize = 5;
/// How long "typing" lasts, in ms.
const TYPING_MS: u64 = 5_000;

/// One chat.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    pub(crate) info: ChatInfo,
    pub(crate) messages: VecDeque<Message>,
    pub(crate) typing_until_ms: u64,
    /// In the form that [`keyboard`] makes.
    pub(crate) reply_keyboard: Option<Value>,
    pub(crate) toasts: VecDeque<Value>,
    /// Forum topics that have messages.
    pub(crate) threads: BTreeSet<i64>,
}

/// An entry of the transcript.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) chat_id: i64,
    pub(crate) body: Value,
}

/// Where updates are pushed to instead of being fetched.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
}

/// A callback query that the bot has not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenCallback {
    pub(crate) chat_id: i64,
    pub(crate) user_id: i64,
    pub(crate) message_id: i64,
}

/// The state of the simulated Telegram.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) bot_id: i64,
    pub(crate) limits: Limits,
    pub(crate) chats: BTreeMap<i64, Chat>,
    pub(crate) updates: UpdateQueue,
    /// The number of the latest getUpdates call. Earlier calls that still wait are refused.
    pub(crate) poll: u64,
    /// How many getUpdates calls wait at the moment.
    pub(crate) polling: usize,
    pub(crate) webhook: Option<Webhook>,
    /// Whether a webhook may be on this machine, without TLS.
    pub(crate) http_webhooks: bool,
    pub(crate) menus: Menus,
    /// The status of administrators, by chat and person.
    pub(crate) administrators: BTreeMap<(i64, i64), String>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) calls: BTreeMap<String, u64>,
    pub(crate) errors: BTreeMap<u16, u64>,
    people: BTreeMap<i64, Person>,
    open_callbacks: BTreeMap<String, OpenCallback>,
    next_message: i64,
    next_callback: u64,
    seq: u64,
}

impl State {
    pub(crate) fn new(token: &str) -> Self {
        let bot_id = token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(123_456);
        Self {
            bot_id,
            limits: Limits::default(),
            chats: BTreeMap::new(),
            updates: UpdateQueue::default(),
            poll: 0,
            polling: 0,
            webhook: None,
            http_webhooks: false,
            menus: Menus::default(),
            administrators: BTreeMap::new(),
            faults: Vec::new(),
            events: VecDeque::new(),
            calls: BTreeMap::new(),
            errors: BTreeMap::new(),
            people: BTreeMap::new(),
            open_callbacks: BTreeMap::new(),
            next_message: 1,
            next_callback: 1,
            seq: 0,
        }
    }

    /// The bot as a `User`.
    pub(crate) fn bot(&self) -> Value {
        json!({
            "id": self.bot_id, "is_bot": true, "first_name": "FreeFans", "username": USERNAME,
            "can_join_groups": true, "can_read_all_group_messages": false,
            "supports_inline_queries": false, "can_connect_to_business": false,
            "has_main_web_app": false, "has_topics_enabled": false,
            "allows_users_to_create_topics": false,
        })
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Updates a person from a control call and returns them.
    pub(crate) fn update_person(&mut self, chat_id: i64, fields: &PersonFields) -> Person {
        let id = fields.id(chat_id);
        let person = self.people.entry(id).or_insert_with(|| Person::unknown(id));
        fields.apply_to(person);
        person.clone()
    }

    /// The language of a person's app.
    pub(crate) fn language(&self, user_id: i64) -> Option<&str> {
        self.people.get(&user_id)?.language_code.as_deref()
    }

    /// A chat as Telegram's `Chat`.
    pub(crate) fn render_chat(&self, chat_id: i64) -> Value {
        let info = self.chats.get(&chat_id).map(|chat| chat.info.clone()).unwrap_or_default();
        info.chat(chat_id, self.people.get(&chat_id))
    }

    /// A message as Telegram's `Message`, with the message that it answers.
    pub(crate) fn render_message(&self, chat_id: i64, message: &Message) -> Value {
        let answered = message.content.reply_to.and_then(|id| self.message(chat_id, id));
        let answered = answered.map(|answered| self.render_with(chat_id, answered, None));
        self.render_with(chat_id, message, answered)
    }

    fn render_with(&self, chat_id: i64, message: &Message, answered: Option<Value>) -> Value {
        let from = if message.from_bot { self.bot() } else { message.author.user() };
        message.render(from, self.render_chat(chat_id), answered)
    }

    /// Adds an event to the transcript.
    pub(crate) fn record(&mut self, chat_id: i64, kind: &str, mut body: Value) {
        self.seq += 1;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("seq".to_owned(), self.seq.into());
            fields.insert("at_ms".to_owned(), now_ms().into());
            fields.insert("chat_id".to_owned(), chat_id.into());
            fields.insert("kind".to_owned(), kind.into());
        }
        if self.events.len() >= KEEP_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { seq: self.seq, chat_id, body });
    }

    /// A person writes a message. Returns the update's id, if the bot gets one, and the message's.
    pub(crate) fn person_writes(
        &mut self,
        chat_id: i64,
        person: Person,
        draft: Content,
    ) -> (Option<i64>, i64) {
        if let Some(thread) = draft.thread {
            self.chats.entry(chat_id).or_default().threads.insert(thread);
        }
        let message = self.add_message(chat_id, person, false, draft);
        let mut event = message.control_json();
        if let Some(fields) = event.as_object_mut() {
            fields.insert("user_id".to_owned(), message.author.id.into());
            fields.insert("name".to_owned(), message.author.first_name.clone().into());
        }
        self.record(chat_id, "user_message", event);
        let update = self.bot_receives(chat_id, &message.content).then(|| {
            let rendered = self.render_message(chat_id, &message);
            self.updates.push("message", rendered)
        });
        (update.flatten(), message.id)
    }

    /// Privacy mode: in a group the bot gets commands that may be for it, mentions, and replies to its messages.
    fn bot_receives(&self, chat_id: i64, content: &Content) -> bool {
        let Some(chat) = self.chats.get(&chat_id) else { return false };
        if chat.info.bot_status != MemberStatus::Member || chat_id > 0 {
            return chat.info.bot_status == MemberStatus::Member;
        }
        let named = |name: &str| name.eq_ignore_ascii_case(USERNAME);
        let command = |text: &String| text.split_once('@').is_none_or(|(_, name)| named(name));
        let mention = |text: &String| text.strip_prefix('@').is_some_and(named);
        let answered = content.reply_to.and_then(|id| self.message(chat_id, id));
        markup::entity_texts(&content.body, "bot_command").iter().any(command)
            || markup::entity_texts(&content.body, "mention").iter().any(mention)
            || answered.is_some_and(|message| message.from_bot)
    }

    /// A person presses a button. Returns the ids of the update and of the query; an error when there is no such button.
    pub(crate) fn person_presses(
        &mut self,
        chat_id: i64,
        person: &Person,
        message_id: i64,
        data: &str,
    ) -> Result<(Option<i64>, String), &'static str> {
        let message = self.message(chat_id, message_id).ok_or("there is no such message")?.clone();
        let label = keyboard::pressed(message.content.keyboard.as_ref(), data)
            .ok_or("the message has no button with this data")?;
        let id = format!("cb{}", self.next_callback);
        self.next_callback += 1;
        let press = OpenCallback { chat_id, user_id: person.id, message_id };
        self.open_callbacks.insert(id.clone(), press);
        let event = json!({
            "message_id": message_id, "user_id": person.id, "name": person.first_name,
            "data": data, "label": label,
        });
        self.record(chat_id, "button_press", event);
        let rendered = self.render_message(chat_id, &message);
        let query = json!({
            "id": id, "from": person.user(), "message": rendered,
            "chat_instance": chat_id.to_string(), "data": data,
        });
        let update = self.updates.push("callback_query", query);
        Ok((update, id))
    }

    /// Closes a callback query; none when it was not open.
    pub(crate) fn close_callback(&mut self, id: &str) -> Option<OpenCallback> {
        self.open_callbacks.remove(id)
    }

    /// A person blocks or unblocks the bot, or adds it to a group or removes it.
    pub(crate) fn set_member_status(
        &mut self,
        chat_id: i64,
        person: &Person,
        status: MemberStatus,
    ) {
        let info = &mut self.chats.entry(chat_id).or_default().info;
        let before = std::mem::replace(&mut info.bot_status, status);
        if before == status {
            return;
        }
        let bot = self.bot();
        let update = json!({
            "chat": self.render_chat(chat_id), "from": person.user(), "date": now_ms() / 1_000,
            "old_chat_member": before.chat_member(&bot),
            "new_chat_member": status.chat_member(&bot),
        });
        self.updates.push("my_chat_member", update);
    }

    /// A group becomes the supergroup `to`; its messages stay behind.
    pub(crate) fn migrate(&mut self, chat_id: i64, to: i64, person: &Person) {
        let old = &mut self.chats.entry(chat_id).or_default().info;
        old.basic = true;
        old.moved_to = Some(to);
        let title = old.title.clone();
        let new = &mut self.chats.entry(to).or_default().info;
        new.title = title;
        for (chat, field, other) in
            [(chat_id, "migrate_to_chat_id", to), (to, "migrate_from_chat_id", chat_id)]
        {
            let id = self.next_message;
            self.next_message += 1;
            let message = json!({
                "message_id": id, "from": person.user(), "chat": self.render_chat(chat),
                "date": now_ms() / 1_000, field: other,
            });
            self.updates.push("message", message);
        }
    }

    /// Adds a message to a chat.
    pub(crate) fn add_message(
        &mut self,
        chat_id: i64,
        author: Person,
        from_bot: bool,
        content: Content,
    ) -> Message {
        let id = self.next_message;
        self.next_message += 1;
        let message = Message { id, from_bot, author, date_ms: now_ms(), edits: 0, content };
        let chat = self.chats.entry(chat_id).or_default();
        if chat.messages.len() >= KEEP_MESSAGES {
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
            username: Some(USERNAME.to_owned()),
            language_code: None,
        }
    }

    pub(crate) fn start_typing(&mut self, chat_id: i64) {
        if let Some(chat) = self.chats.get_mut(&chat_id) {
            chat.typing_until_ms = now_ms() + TYPING_MS;
        }
    }

    pub(crate) fn add_toast(&mut self, chat_id: i64, text: &str, alert: bool) {
        if let Some(chat) = self.chats.get_mut(&chat_id) {
            if chat.toasts.len() >= KEEP_TOASTS {
                chat.toasts.pop_front();
            }
            chat.toasts.push_back(json!({"text": text, "alert": alert, "at_ms": now_ms()}));
        }
    }
}
