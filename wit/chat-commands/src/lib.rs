//! What plugins show in a chat: the commands that they bring ([`OfferedCommand`]) and the views that they answer with
//! ([`view`]), in their JSON form, with their rules.
//!
//! Two programs check the rules: the worker when it loads a plugin, and the coordinator when it reads a worker's record,
//! because anyone who may write to Redis may write a record. The queue carries commands without reading them. The menu, and
//! what a chat does with a command or a view, are in the coordinator.

pub mod media;
pub mod remarks;
pub mod text;
pub mod view;

use std::collections::BTreeMap;

use queue::{OfferedPlugin, TaskType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::remarks::quoted;

/// Most commands of one plugin. A longer menu is hard to read.
pub const MAX_COMMANDS: usize = 16;
/// The bot's own commands. No plugin may use these names.
pub const RESERVED: &[&str] = &[
    "cancel", "help", "plugins", "privacy", "random", "search", "settings", "start", "stats",
    "status",
];

/// Bot API, `BotCommand`: a name has 1 to 32 lower case letters, digits and underscores.
const MAX_NAME_BYTES: usize = 32;
/// Bot API, `setMyCommands`: a description has 3 to 256 characters.
const MIN_DESCRIPTION_CHARS: usize = 3;
const MAX_DESCRIPTION_CHARS: usize = 256;
/// Descriptions in other languages; there are some 180 codes of two letters.
const MAX_LANGUAGES: usize = 32;
/// Longest name of a param that takes a command's text, and longest example of one.
const MAX_PARAM_BYTES: usize = 64;
const MAX_EXAMPLE_CHARS: usize = 64;
/// Largest JSON of the fixed params, in bytes. With [`MAX_COMMANDS`] it limits the size of a worker's record.
const MAX_PARAMS_BYTES: usize = 4 << 10;

/// A command and the task that it submits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedCommand {
    /// Its name, without `/`.
    pub name: String,
    /// What it does, for the menu.
    pub description: String,
    /// Descriptions in other languages, by two-letter language code (ISO 639-1).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub descriptions: BTreeMap<String, String>,
    /// The type of its task.
    pub task_type: TaskType,
    /// The param that takes the text behind the command. If absent, that text is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<CommandArgument>,
    /// The param that takes the person's language, as a two-letter code. If absent, the plugin is not told the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_param: Option<String>,
    /// Fixed params, sent with every task.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// The param for the text behind a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandArgument {
    /// The name of the param. Its value is a string.
    pub param: String,
    /// Whether the command needs it.
    #[serde(default)]
    pub required: bool,
    /// An example, shown to a person who left it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

impl OfferedCommand {
    /// The names in its JSON.
    pub const NAMES: &[&str] = &[
        "name",
        "description",
        "descriptions",
        "task_type",
        "argument",
        "language_param",
        "params",
    ];

    /// The description in a language, or the default one.
    pub fn description_in(&self, language_code: &str) -> &str {
        self.descriptions.get(language_code).unwrap_or(&self.description)
    }

    /// The params of its task, with the text behind it and the person's language.
    pub fn params_with(&self, text: &str, language_code: &str) -> Map<String, Value> {
        let mut params = self.params.clone();
        if let Some(param) = &self.language_param {
            params.insert(param.clone(), Value::from(language_code));
        }
        if let Some(argument) = &self.argument
            && !text.is_empty()
        {
            params.insert(argument.param.clone(), Value::from(text));
        }
        params
    }

    /// Whether its name is one of the bot's own. Such a command is left out; the rest of its plugin is loaded.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.name.as_str())
    }

    /// Checks the rules. `task_types` are those of its plugin.
    ///
    /// # Errors
    ///
    /// A sentence for the plugin's author that says what is wrong.
    pub fn check(&self, task_types: &[TaskType]) -> Result<(), String> {
        let name = &self.name;
        if !is_name(name) {
            return Err(format!(
                "a command's name is `{}`; it must have 1 to {MAX_NAME_BYTES} lower case letters, digits and `_`",
                quoted(name)
            ));
        }
        let wrong = |problem: String| Err(format!("command `{name}`: {problem}"));
        if self.is_reserved() {
            return wrong("the name is one of the bot's own".to_owned());
        }
        if self.descriptions.len() > MAX_LANGUAGES {
            return wrong(format!("it is described in more than {MAX_LANGUAGES} languages"));
        }
        for code in self.descriptions.keys() {
            if !(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_lowercase())) {
                return wrong(
                    "a language is named by two lower case letters (ISO 639-1)".to_owned(),
                );
            }
        }
        for description in std::iter::once(&self.description).chain(self.descriptions.values()) {
            let chars = description.chars().count();
            if !(MIN_DESCRIPTION_CHARS..=MAX_DESCRIPTION_CHARS).contains(&chars)
                || !is_one_line(description)
            {
                return wrong(format!(
                    "a description must be one line of {MIN_DESCRIPTION_CHARS} to {MAX_DESCRIPTION_CHARS} characters, \
                     without marks that change the direction of writing"
                ));
            }
        }
        if !task_types.contains(&self.task_type) {
            let own: Vec<&str> = task_types.iter().map(TaskType::as_str).collect();
            let own = own.join(", ");
            return wrong(format!(
                "the plugin does not handle `{}`; it handles {own}",
                self.task_type
            ));
        }
        if serde_json::to_vec(&self.params).map_or(usize::MAX, |json| json.len()) > MAX_PARAMS_BYTES
        {
            return wrong(format!("its params have more than {MAX_PARAMS_BYTES} bytes"));
        }
        let argument = self.argument.as_ref().map(|argument| argument.param.as_str());
        if let Some(param) = &self.language_param
            && let Err(problem) =
                check_param("`language_param`", param, &self.params).and_then(|()| {
                    if argument == Some(param) {
                        Err("its `language_param` is its argument's".to_owned())
                    } else {
                        Ok(())
                    }
                })
        {
            return wrong(problem);
        }
        match &self.argument {
            Some(argument) => argument.check(&self.params).or_else(wrong),
            None => Ok(()),
        }
    }
}

/// Checks the name of a param that is filled in: valid, and not one of the fixed params.
fn check_param(what: &str, param: &str, fixed: &Map<String, Value>) -> Result<(), String> {
    if !(1..=MAX_PARAM_BYTES).contains(&param.len()) || !is_one_line(param) {
        return Err(format!("its {what} must have 1 to {MAX_PARAM_BYTES} bytes"));
    }
    if fixed.contains_key(param) {
        Err(format!("its {what} is one of its fixed params"))
    } else {
        Ok(())
    }
}

impl CommandArgument {
    /// The names in its JSON.
    pub const NAMES: &[&str] = &["param", "required", "example"];

    fn check(&self, fixed: &Map<String, Value>) -> Result<(), String> {
        check_param("argument's `param`", &self.param, fixed)?;
        if let Some(example) = &self.example
            && (example.chars().count() > MAX_EXAMPLE_CHARS || !is_one_line(example))
        {
            return Err(format!(
                "its argument's `example` must be one line of 1 to {MAX_EXAMPLE_CHARS} characters"
            ));
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

/// Whether a text can be shown unchanged: not blank, no control characters such as line breaks, no invisible characters, and
/// none that change the direction of writing.
fn is_one_line(text: &str) -> bool {
    let hidden = |letter: char| {
        letter.is_control()
            || matches!(letter,
                '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    !text.trim().is_empty() && !text.chars().any(hidden)
}

/// The commands in a worker's record, at most [`MAX_COMMANDS`]. Commands that this version cannot read are left out; the rest
/// of the record still counts.
pub fn of_plugin(plugin: &OfferedPlugin) -> Vec<OfferedCommand> {
    let readable = plugin.commands.iter().filter_map(|json| OfferedCommand::deserialize(json).ok());
    readable.take(MAX_COMMANDS).collect()
}

/// Commands as JSON for a worker's record.
pub fn for_record(commands: &[OfferedCommand]) -> Vec<Value> {
    commands.iter().filter_map(|command| serde_json::to_value(command).ok()).collect()
}

#[cfg(test)]
mod tests;
