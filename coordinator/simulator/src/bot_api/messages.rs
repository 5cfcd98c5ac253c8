//! Messages, buttons and what belongs to them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Refusal;
use crate::Simulator;
use crate::markup::{self, Formatted};
use crate::params::Params;
use crate::state::{State, buttons};

/// Bot API: message text is 1–4096 characters after entities parsing, counted in UTF-16 units.
const MAX_TEXT_UNITS: usize = 4_096;
/// Telegram takes about this much of what gives a text its form, in bytes (github.com/tdlib/telegram-bot-api, issue 165);
/// the addresses are most of it.
const MAX_ADDRESSES_BYTES: usize = 9_500;
/// Telegram takes about this much of a keyboard as JSON, in bytes.
const MAX_MARKUP_BYTES: usize = 10 << 10;
/// Bot API: `callback_data` is 1–64 bytes.
const MAX_CALLBACK_BYTES: usize = 64;
/// Bot API: a callback answer has at most 200 characters.
const MAX_TOAST_CHARS: usize = 200;
/// Telegram takes at most this many buttons under a message.
const MAX_BUTTONS: usize = 100;
/// Bot FAQ: 30 messages a second overall; one a second in a chat, short bursts tolerated.
const PER_SECOND: usize = 30;
const CHAT_BURST: usize = 3;

fn chat_id(params: &Params) -> Result<i64, Refusal> {
    params.number("chat_id").ok_or_else(|| Refusal::bad("chat_id is empty"))
}

/// A bot can only write where somebody wrote first.
fn known_chat(state: &State, params: &Params) -> Result<i64, Refusal> {
    let chat_id = chat_id(params)?;
    match state.chats.contains_key(&chat_id) {
        true => Ok(chat_id),
        false => Err(Refusal::bad("chat not found")),
    }
}

fn body(params: &Params) -> Result<Formatted, Refusal> {
    let text = params.text("text").unwrap_or_default();
    let formatted = match params.text("parse_mode").as_deref() {
        None | Some("") => markup::plain(&text),
        Some(mode) if mode.eq_ignore_ascii_case("html") => markup::html(&text)
            .map_err(|problem| Refusal::bad(format!("can't parse entities: {problem}")))?,
        Some(_) => {
            return Err(Refusal::bad("unsupported parse_mode: the simulator knows HTML only"));
        }
    };
    if formatted.text.trim().is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    if MAX_TEXT_UNITS < formatted.text.encode_utf16().count() {
        return Err(Refusal::bad("message is too long"));
    }
    let addresses = formatted.entities.iter().filter_map(|entity| entity.get("url")?.as_str());
    if MAX_ADDRESSES_BYTES < addresses.map(str::len).sum() {
        return Err(Refusal::bad("ENTITIES_TOO_LONG"));
    }
    Ok(formatted)
}

/// The `reply_markup`: checked inline keyboard, or another kind as it is.
fn markup_of(params: &Params) -> Result<Option<Value>, Refusal> {
    let Some(markup) = params.json("reply_markup")? else { return Ok(None) };
    if let Some(rows) = markup.get("inline_keyboard") {
        let rows = rows
            .as_array()
            .ok_or_else(|| Refusal::bad("field \"inline_keyboard\" must be of type Array"))?;
        let all: Vec<&Value> = rows.iter().filter_map(Value::as_array).flatten().collect();
        if MAX_BUTTONS < all.len() || MAX_MARKUP_BYTES < markup.to_string().len() {
            return Err(Refusal::bad("reply markup is too long"));
        }
        for button in all {
            check_button(button)?;
        }
        if rows.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(markup))
}

fn check_button(button: &Value) -> Result<(), Refusal> {
    let text = |name: &str| button.get(name).and_then(Value::as_str);
    if text("text").is_none_or(str::is_empty) {
        return Err(Refusal::bad(
            "can't parse inline keyboard button: text buttons must have a text",
        ));
    }
    match (text("callback_data"), text("url")) {
        (Some(data), None) if (1..=MAX_CALLBACK_BYTES).contains(&data.len()) => Ok(()),
        (Some(_), None) => Err(Refusal::bad("BUTTON_DATA_INVALID")),
        (None, Some(url)) => {
            let host =
                ["https://", "http://", "tg://"].iter().find_map(|scheme| url.strip_prefix(scheme));
            match host.is_some_and(|host| host.starts_with(|first: char| first.is_alphanumeric())) {
                true => Ok(()),
                false => Err(Refusal::bad(format!(
                    "inline keyboard button URL '{url}' is invalid: Wrong HTTP URL"
                ))),
            }
        }
        _ => Err(Refusal::bad(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        )),
    }
}

/// Counts a message against the flood limits.
fn check_limits(state: &mut State, chat_id: i64) -> Result<(), Refusal> {
    if !state.limits {
        return Ok(());
    }
    let now = Instant::now();
    let recent = |times: &mut VecDeque<Instant>, span: Duration| {
        while times.front().is_some_and(|sent| span <= now.duration_since(*sent)) {
            times.pop_front();
        }
        times.len()
    };
    if PER_SECOND <= recent(&mut state.sent_at, Duration::from_secs(1)) {
        return Err(Refusal::too_many(1));
    }
    if let Some(chat) = state.chats.get_mut(&chat_id) {
        let (span, most) = match chat_id < 0 {
            true => (Duration::from_secs(60), 20),
            false => (Duration::from_secs(3), CHAT_BURST),
        };
        if most <= recent(&mut chat.sent_at, span) {
            return Err(Refusal::too_many(if chat_id < 0 { 10 } else { 1 }));
        }
        chat.sent_at.push_back(now);
    }
    state.sent_at.push_back(now);
    Ok(())
}

fn shown(state: &State, chat_id: i64, message_id: i64) -> Value {
    match state.message(chat_id, message_id) {
        Some(message) => json!({
            "message_id": message_id, "text": message.body.text,
            "buttons": buttons(message.keyboard.as_ref()),
        }),
        None => json!({"message_id": message_id}),
    }
}

pub(super) fn send(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let body = body(params)?;
    let markup = markup_of(params)?;
    simulator.change(|state| {
        let chat_id = known_chat(state, params)?;
        check_limits(state, chat_id)?;
        let (inline, other) = match markup {
            Some(markup) if markup.get("inline_keyboard").is_some() => (Some(markup), None),
            other => (None, other),
        };
        let author = state.bot_person();
        let message = state.add_message(chat_id, author, true, body, inline);
        if let (Some(other), Some(chat)) = (other, state.chats.get_mut(&chat_id)) {
            chat.reply_keyboard = other.get("keyboard").cloned();
        }
        let event = shown(state, chat_id, message.id);
        state.note(chat_id, "bot_message", event);
        Ok(state.render_message(chat_id, &message))
    })
}

/// A message that the bot may edit.
fn editable(state: &State, params: &Params) -> Result<(i64, i64), Refusal> {
    let chat_id = known_chat(state, params)?;
    let message_id = params
        .number("message_id")
        .ok_or_else(|| Refusal::bad("message identifier is not specified"))?;
    match state.message(chat_id, message_id) {
        None => Err(Refusal::bad("message to edit not found")),
        Some(message) if !message.from_bot => Err(Refusal::bad("message can't be edited")),
        Some(_) => Ok((chat_id, message_id)),
    }
}

fn not_modified() -> Refusal {
    Refusal::bad(
        "message is not modified: specified new message content and reply markup are exactly the same as a current \
         content and reply markup of the message",
    )
}

pub(super) fn edit_text(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let body = body(params)?;
    let keyboard = markup_of(params)?;
    simulator.change(|state| {
        let (chat_id, message_id) = editable(state, params)?;
        if let Some(message) = state.message_mut(chat_id, message_id) {
            if message.body == body && message.keyboard == keyboard {
                return Err(not_modified());
            }
            message.body = body;
            message.keyboard = keyboard;
            message.edits += 1;
        }
        Ok(edited(state, chat_id, message_id))
    })
}

pub(super) fn edit_markup(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let keyboard = markup_of(params)?;
    simulator.change(|state| {
        let (chat_id, message_id) = editable(state, params)?;
        if let Some(message) = state.message_mut(chat_id, message_id) {
            if message.keyboard == keyboard {
                return Err(not_modified());
            }
            message.keyboard = keyboard;
            message.edits += 1;
        }
        Ok(edited(state, chat_id, message_id))
    })
}

fn edited(state: &mut State, chat_id: i64, message_id: i64) -> Value {
    if let Some(chat) = state.chats.get_mut(&chat_id) {
        chat.typing_until_ms = 0;
    }
    let event = shown(state, chat_id, message_id);
    state.note(chat_id, "edit", event);
    let rendered =
        state.message(chat_id, message_id).map(|message| state.render_message(chat_id, message));
    rendered.unwrap_or_default()
}

pub(super) fn delete(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    simulator.change(|state| {
        let chat_id = known_chat(state, params)?;
        let message_id = params.number("message_id").unwrap_or(0);
        if state.message(chat_id, message_id).is_none() {
            return Err(Refusal::bad("message to delete not found"));
        }
        if let Some(chat) = state.chats.get_mut(&chat_id) {
            chat.messages.retain(|message| message.id != message_id);
        }
        state.note(chat_id, "delete", json!({"message_id": message_id}));
        Ok(true.into())
    })
}

pub(super) fn answer_callback(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let text = params.text("text").unwrap_or_default();
    if MAX_TOAST_CHARS < text.chars().count() {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    simulator.change(|state| {
        let id = params.text("callback_query_id").unwrap_or_default();
        let chat_id = state.close_callback(&id).ok_or_else(|| {
            Refusal::bad("query is too old and response timeout expired or query ID is invalid")
        })?;
        if !text.is_empty() {
            state.add_toast(chat_id, &text, params.flag("show_alert"));
        }
        state.note(chat_id, "callback_answer", json!({"callback_query_id": id, "text": text}));
        Ok(true.into())
    })
}

pub(super) fn chat_action(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    simulator.change(|state| {
        let chat_id = known_chat(state, params)?;
        let action = params.text("action").unwrap_or_default();
        state.start_typing(chat_id);
        state.note(chat_id, "chat_action", json!({"action": action}));
        Ok(true.into())
    })
}

pub(super) fn set_commands(simulator: &Simulator, params: &Params) -> Result<Value, Refusal> {
    let commands = params.json("commands")?.unwrap_or_else(|| json!([]));
    for command in commands.as_array().into_iter().flatten() {
        let name = command.get("command").and_then(Value::as_str).unwrap_or("");
        let description = command.get("description").and_then(Value::as_str).unwrap_or("");
        let valid = (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !valid {
            return Err(Refusal::bad("BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&description.chars().count()) {
            return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    simulator.change(|state| state.commands = commands);
    Ok(true.into())
}
