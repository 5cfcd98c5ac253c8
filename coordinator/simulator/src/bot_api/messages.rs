//! Messages, edits and callback answers. Pictures and videos are in [`super::media`].

use std::time::Instant;

use serde_json::{Value, json};

use crate::keyboard::Markup;
use crate::markup::{self, Formatted};
use crate::message::Content;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::simulator::Simulator;
use crate::state::State;

/// Bot API: message text is 1–4096 characters after entities parsing, counted in UTF-16 units.
const MAX_TEXT_UNITS: usize = 4_096;
/// Telegram accepts about this many bytes of entities (github.com/tdlib/telegram-bot-api, issue 165); the addresses are
/// most of it.
const MAX_ADDRESSES_BYTES: usize = 9_500;
/// Bot API: a callback answer has at most 200 characters.
const MAX_TOAST_CHARS: usize = 200;

/// The call's chat, if the bot may write there: someone wrote first, and nobody blocked or removed the bot.
pub(super) fn writable_chat(state: &State, params: &Params) -> Result<i64, Refusal> {
    let chat_id = params.number("chat_id").ok_or_else(|| Refusal::bad("chat_id is empty"))?;
    let chat = state.chats.get(&chat_id).ok_or_else(|| Refusal::bad("chat not found"))?;
    chat.info.check(chat_id)?;
    Ok(chat_id)
}

/// A text field with its formatting; the limit counts UTF-16 units without tags.
pub(super) fn formatted(
    text: &str,
    parse_mode: Option<&str>,
    most_units: usize,
    too_long: &str,
) -> Result<Formatted, Refusal> {
    let formatted = match parse_mode {
        None | Some("") => markup::plain(text),
        Some(mode) if mode.eq_ignore_ascii_case("html") => markup::html(text)
            .map_err(|problem| Refusal::bad(format!("can't parse entities: {problem}")))?,
        Some(_) => {
            return Err(Refusal::bad("unsupported parse_mode: the simulator knows HTML only"));
        }
    };
    if most_units < formatted.text.encode_utf16().count() {
        return Err(Refusal::bad(too_long));
    }
    let addresses = formatted.entities.iter().filter_map(|entity| entity.get("url")?.as_str());
    if addresses.map(str::len).sum::<usize>() > MAX_ADDRESSES_BYTES {
        return Err(Refusal::bad("ENTITIES_TOO_LONG"));
    }
    Ok(formatted)
}

fn body(params: &Params) -> Result<Formatted, Refusal> {
    let text = params.text("text").unwrap_or_default();
    let mode = params.text("parse_mode");
    let formatted = formatted(&text, mode.as_deref(), MAX_TEXT_UNITS, "message is too long")?;
    if formatted.text.trim().is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    Ok(formatted)
}

/// Counts messages or edits against the flood limits.
pub(super) fn count(
    state: &mut State,
    method: &str,
    chat_id: i64,
    messages: usize,
) -> Result<(), Refusal> {
    state.limits.count(method, chat_id, messages, Instant::now()).map_err(Refusal::too_many)
}

/// The message that the call replies to, and the topic that it goes to.
pub(super) fn destination(
    state: &State,
    chat_id: i64,
    params: &Params,
) -> Result<(Option<i64>, Option<i64>), Refusal> {
    let reply = params.json("reply_parameters")?;
    let answered = reply.as_ref().and_then(|reply| reply.get("message_id")?.as_i64());
    let found = answered.and_then(|id| state.message(chat_id, id));
    let field = |name: &str| reply.as_ref()?.get(name)?.as_bool();
    if answered.is_some() && found.is_none() && field("allow_sending_without_reply") != Some(true) {
        return Err(Refusal::bad("message to be replied not found"));
    }
    // A reply goes to the topic of the message that it replies to.
    let thread = params
        .number("message_thread_id")
        .or_else(|| found.and_then(|message| message.content.thread));
    let known =
        |thread: &i64| state.chats.get(&chat_id).is_some_and(|chat| chat.threads.contains(thread));
    if thread.as_ref().is_some_and(|thread| !known(thread)) {
        return Err(Refusal::bad("message thread not found"));
    }
    Ok((found.map(|message| message.id), thread))
}

/// Adds the bot's message to a chat; returns it as Telegram's `Message`.
pub(super) fn post(
    state: &mut State,
    chat_id: i64,
    mut draft: Content,
    markup: Option<Markup>,
) -> Value {
    let change = match markup {
        Some(Markup::Inline(keyboard)) => {
            draft.keyboard = Some(keyboard);
            None
        }
        Some(Markup::Reply(keyboard)) => Some(Some(keyboard)),
        Some(Markup::Remove) => Some(None),
        Some(Markup::ForceReply) | None => None,
    };
    let author = state.bot_person();
    let message = state.add_message(chat_id, author, true, draft);
    let mut event = message.control_json();
    if let (Some(keyboard), Some(chat)) = (change, state.chats.get_mut(&chat_id)) {
        if let Some(fields) = event.as_object_mut() {
            let rows = keyboard.as_ref().and_then(|keyboard| keyboard.get("rows")).cloned();
            fields.insert("reply_keyboard".to_owned(), rows.unwrap_or(Value::Null));
        }
        chat.reply_keyboard = keyboard;
    }
    state.record(chat_id, "bot_message", event);
    state.render_message(chat_id, &message)
}

pub(super) fn send(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let body = body(params)?;
    let markup = Markup::read(params)?;
    simulator.change(|state| {
        let chat_id = writable_chat(state, params)?;
        let (reply_to, thread) = destination(state, chat_id, params)?;
        count(state, "sendMessage", chat_id, 1)?;
        let draft = Content { body, reply_to, thread, ..Content::default() };
        Ok(post(state, chat_id, draft, markup))
    })
}

/// Changes a message of the bot. `change` returns whether anything changed.
pub(super) fn edit(
    simulator: &Simulator,
    method: &str,
    params: &Params,
    change: impl FnOnce(&mut Content) -> Result<bool, Refusal>,
) -> Result<Value, Refusal> {
    simulator.change(|state| {
        let chat_id = writable_chat(state, params)?;
        let message_id = params
            .number("message_id")
            .ok_or_else(|| Refusal::bad("message identifier is not specified"))?;
        match state.message(chat_id, message_id) {
            None => return Err(Refusal::bad("message to edit not found")),
            Some(message) if !message.from_bot => {
                return Err(Refusal::bad("message can't be edited"));
            }
            Some(_) => count(state, method, chat_id, 1)?,
        }
        let Some(message) = state.message_mut(chat_id, message_id) else {
            return Err(Refusal::bad("message to edit not found"));
        };
        if !change(&mut message.content)? {
            return Err(Refusal::bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a \
                 current content and reply markup of the message",
            ));
        }
        message.edits += 1;
        let edited = message.clone();
        if let Some(chat) = state.chats.get_mut(&chat_id) {
            chat.typing_until_ms = 0;
        }
        state.record(chat_id, "edit", edited.control_json());
        Ok(state.render_message(chat_id, &edited))
    })
}

pub(super) fn edit_text(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let body = body(params)?;
    let keyboard = Markup::read_inline(params)?;
    edit(simulator, "editMessageText", params, |content| {
        if content.media.is_some() {
            return Err(Refusal::bad("there is no text in the message to edit"));
        }
        let changed = content.body != body || content.keyboard != keyboard;
        content.body = body;
        content.keyboard = keyboard;
        Ok(changed)
    })
}

pub(super) fn edit_markup(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let keyboard = Markup::read_inline(params)?;
    edit(simulator, "editMessageReplyMarkup", params, |content| {
        let changed = content.keyboard != keyboard;
        content.keyboard = keyboard;
        Ok(changed)
    })
}

pub(super) fn delete(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    simulator.change(|state| {
        let chat_id = writable_chat(state, params)?;
        let message_id = params.number("message_id").unwrap_or(0);
        if state.message(chat_id, message_id).is_none() {
            return Err(Refusal::bad("message to delete not found"));
        }
        if let Some(chat) = state.chats.get_mut(&chat_id) {
            chat.messages.retain(|message| message.id != message_id);
        }
        state.record(chat_id, "delete", json!({"message_id": message_id}));
        Ok(true.into())
    })
}

pub(super) fn answer_callback(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let text = params.text("text").unwrap_or_default();
    if text.chars().count() > MAX_TOAST_CHARS {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    simulator.change(|state| {
        let id = params.text("callback_query_id").unwrap_or_default();
        let press = state.close_callback(&id).ok_or_else(|| {
            Refusal::bad("query is too old and response timeout expired or query ID is invalid")
        })?;
        let alert = params.flag("show_alert");
        if !text.is_empty() {
            state.add_toast(press.chat_id, &text, alert);
        }
        let event = json!({
            "callback_query_id": id, "text": text, "alert": alert, "user_id": press.user_id,
            "message_id": press.message_id,
        });
        state.record(press.chat_id, "callback_answer", event);
        Ok(true.into())
    })
}

pub(super) fn chat_action(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    simulator.change(|state| {
        let chat_id = writable_chat(state, params)?;
        let (_, thread) = destination(state, chat_id, params)?;
        let action = params.text("action").unwrap_or_default();
        state.start_typing(chat_id);
        state.record(chat_id, "chat_action", json!({"action": action, "thread": thread}));
        Ok(true.into())
    })
}
