//! The bot's command menus: one list per scope and language, and which of them a person sees.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::params::Params;
use crate::refusal::Refusal;

/// Bot API, `setMyCommands`: at most 100 commands.
const MAX_COMMANDS: usize = 100;
/// Bot API, `BotCommand`: 1–32 characters, lowercase English letters, digits and underscores.
const MAX_NAME_CHARS: usize = 32;
/// Bot API, `BotCommand`: a description has 1–256 characters.
const MAX_DESCRIPTION_CHARS: usize = 256;

/// A scope and a language code. The empty code is the default for all languages.
type Key = (String, String);

/// All lists.
#[derive(Debug, Default)]
pub(crate) struct Menus(BTreeMap<Key, Value>);

impl Menus {
    pub(crate) fn set(&mut self, params: &Params) -> Result<(), Refusal> {
        let key = key(params)?;
        let commands = params.json("commands")?.unwrap_or_else(|| json!([]));
        let list = commands
            .as_array()
            .ok_or_else(|| Refusal::bad("can't parse commands: expected an Array"))?;
        if list.len() > MAX_COMMANDS {
            return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
        }
        list.iter().try_for_each(check)?;
        if list.is_empty() {
            self.0.remove(&key)
        } else {
            self.0.insert(key, commands)
        };
        Ok(())
    }

    pub(crate) fn remove(&mut self, params: &Params) -> Result<(), Refusal> {
        self.0.remove(&key(params)?);
        Ok(())
    }

    pub(crate) fn get(&self, params: &Params) -> Result<Value, Refusal> {
        Ok(self.0.get(&key(params)?).cloned().unwrap_or_else(|| json!([])))
    }

    /// What a person sees behind `/` in a chat. Source: Bot API, "Determining list of commands".
    pub(crate) fn shown(&self, chat_id: i64, user_id: i64, language: &str) -> Value {
        let chat = format!("chat:{chat_id}");
        let member = format!("chat_member:{chat_id}:{user_id}");
        let scopes: &[&str] = if chat_id < 0 {
            &[&member, &chat, "all_group_chats", "default"]
        } else {
            &[&chat, "all_private_chats", "default"]
        };
        let short: String = language.chars().take(2).collect();
        scopes
            .iter()
            .flat_map(|scope| [(*scope, short.as_str()), (*scope, "")])
            .find_map(|(scope, code)| self.0.get(&(scope.to_owned(), code.to_owned())))
            .cloned()
            .unwrap_or_else(|| json!([]))
    }
}

fn key(params: &Params) -> Result<Key, Refusal> {
    let language = params.text("language_code").unwrap_or_default();
    let two_letters = language.len() == 2 && language.bytes().all(|byte| byte.is_ascii_lowercase());
    if !language.is_empty() && !two_letters {
        return Err(Refusal::bad("invalid language code specified"));
    }
    let scope = params.json("scope")?.unwrap_or_else(|| json!({"type": "default"}));
    let kind = scope.get("type").and_then(Value::as_str).unwrap_or_default();
    let id = |name: &str| {
        let id = scope.get(name).and_then(Value::as_i64);
        id.ok_or_else(|| Refusal::bad(format!("can't parse BotCommandScope: no \"{name}\"")))
    };
    let scope = match kind {
        "default" | "all_private_chats" | "all_group_chats" | "all_chat_administrators" => {
            kind.to_owned()
        }
        "chat" | "chat_administrators" => format!("{kind}:{}", id("chat_id")?),
        "chat_member" => format!("{kind}:{}:{}", id("chat_id")?, id("user_id")?),
        _ => return Err(Refusal::bad("can't parse BotCommandScope: unsupported type specified")),
    };
    Ok((scope, language))
}

fn check(command: &Value) -> Result<(), Refusal> {
    let text = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = text("command");
    let description = text("description").trim();
    let valid = (1..=MAX_NAME_CHARS).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !valid {
        return Err(Refusal::bad("BOT_COMMAND_INVALID"));
    }
    if !(1..=MAX_DESCRIPTION_CHARS).contains(&description.chars().count()) {
        return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
    }
    Ok(())
}
