//! Chat commands that plugins bring along, as a worker's record holds them.
//!
//! The rules stand here because two sides keep them: the host when it loads a plugin, and the coordinator when it reads a
//! record, for anybody who may write to Redis may write one.
//!
//! Not here: what a chat makes of a command. That is the coordinator's.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json;
use crate::task::TaskType;

/// Most commands of one plugin: a menu is for people.
pub const MAX_COMMANDS: usize = 16;
/// The bot's own commands; no plugin takes one over.
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
/// JSON of the params that a command always sends. With [`MAX_COMMANDS`] it bounds a worker's record.
const MAX_PARAMS_BYTES: usize = 4 << 10;

/// A command and the task that it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedCommand {
    /// Its name, without `/`.
    pub name: String,
    /// What it does, for the menu.
    pub description: String,
    /// The same in other languages, by their codes of two letters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub descriptions: BTreeMap<String, String>,
    /// The task that it asks for.
    pub task_type: TaskType,
    /// Which param takes the text behind the command; without it that text is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<CommandArgument>,
    /// Which param takes the language that the person is spoken to in, a code of two letters; without it the plugin does
    /// not learn it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_param: Option<String>,
    /// Params that it always sends.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// What becomes of the text behind a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandArgument {
    /// The param that takes it, as a text.
    pub param: String,
    /// Whether the command makes no sense without it.
    #[serde(default)]
    pub required: bool,
    /// What it may look like, for who left it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

impl OfferedCommand {
    /// What it does, in a language when it is told in that.
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

    /// Whether its name is one of the bot's own: then it is left out, and the rest of its plugin is not.
    pub fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.name.as_str())
    }

    /// Checks it against the rules; `task_types` are those of its plugin.
    ///
    /// # Errors
    ///
    /// What is wrong, in words for the plugin's author.
    pub fn check(&self, task_types: &[TaskType]) -> Result<(), String> {
        let name = &self.name;
        if !is_name(name) {
            return Err(format!(
                "a command's name must have 1 to {MAX_NAME_BYTES} lower case letters, digits and `_`"
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
            return wrong(format!("the plugin does not handle `{}`", self.task_type));
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

/// Whether a param may be filled in: it has a name, and is none of the fixed ones.
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

/// Whether a text can be shown as it is: something to read, no line break or other control character, no mark that
/// changes the direction of writing or shows nothing.
fn is_one_line(text: &str) -> bool {
    let hidden = |letter: char| {
        letter.is_control()
            || matches!(letter,
                '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    !text.trim().is_empty() && !text.chars().any(hidden)
}

/// Reads the commands of a record one by one. One that this version cannot read is left out: the worker that offers it
/// is alive all the same.
pub(crate) fn readable<'de, D>(deserializer: D) -> Result<Vec<OfferedCommand>, D::Error>
where
    D: Deserializer<'de>,
{
    let mut commands = json::readable(deserializer)?;
    commands.truncate(MAX_COMMANDS);
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::work::OfferedPlugin;

    fn roll() -> Value {
        json!({
            "name": "roll", "description": "Roll dice", "descriptions": {"de": "Würfelt"},
            "task_type": "roll_dice", "params": {"sides": 6},
            "argument": {"param": "dice", "example": "2d6"},
        })
    }

    #[track_caller]
    fn check(place: &str, value: Value, expected: Option<&str>) {
        let mut command = roll();
        match place {
            "" => {}
            place => *command.pointer_mut(place).unwrap() = value,
        }
        let command: OfferedCommand = serde_json::from_value(command).unwrap();
        let told = command.check(&["roll_dice".parse().unwrap()]).err();
        match expected {
            Some(part) => assert!(told.as_deref().unwrap_or_default().contains(part), "{told:?}"),
            None => assert_eq!(told, None),
        }
    }

    #[test]
    fn a_command_keeps_telegrams_rules_and_ours() {
        check("", Value::Null, None);
        for name in ["r", "roll_2", &"x".repeat(32)] {
            check("/name", json!(name), None);
        }
        for name in ["", "Roll", "roll-2", "würfel", "/roll", "ro ll", &"x".repeat(33)] {
            check("/name", json!(name), Some("name must have"));
        }
        for name in RESERVED {
            check("/name", json!(name), Some("the bot's own"));
        }
        for text in ["Abc", &"ü".repeat(256)] {
            check("/description", json!(text), None);
        }
        for text in ["", "Ab", "   ", "a\nb c", "a\u{202e}bc", "a\u{2028}bc", &"ü".repeat(257)] {
            check("/description", json!(text), Some("one line of 3 to 256"));
            check("/descriptions/de", json!(text), Some("one line of 3 to 256"));
        }
        check("/descriptions", json!({"deu": "Würfelt"}), Some("two lower case letters"));
        check("/task_type", json!("load_content"), Some("does not handle `load_content`"));
        check("/params", json!({"x": "y".repeat(4_096)}), Some("more than 4096 bytes"));
        check("/params", json!({"dice": "1d6"}), Some("fixed params"));
        check("/argument/param", json!(""), Some("1 to 64 bytes"));
        check("/argument/example", json!("a\nb"), Some("one line"));
        check("/argument", Value::Null, None);
    }

    #[test]
    fn the_text_behind_a_command_becomes_a_param() {
        let command: OfferedCommand = serde_json::from_value(roll()).unwrap();
        assert_eq!(
            Value::from(command.params_with("2d6", "en")),
            json!({"sides": 6, "dice": "2d6"})
        );
        assert_eq!(Value::from(command.params_with("", "en")), json!({"sides": 6}));
        assert_eq!(command.description_in("de"), "Würfelt");
        assert_eq!(command.description_in("fr"), "Roll dice");
    }

    #[test]
    fn a_record_is_read_whatever_its_commands_are() {
        let read = |commands: Option<Value>| -> OfferedPlugin {
            let mut record = json!({"name": "dice", "version": "1.0.0", "digest": "", "task_types": ["roll_dice"]});
            if let Some(commands) = commands {
                record["commands"] = commands;
            }
            serde_json::from_value(record).unwrap()
        };
        let old = read(None);
        assert_eq!(old.commands, []);
        assert!(!serde_json::to_string(&old).unwrap().contains("commands"));
        assert_eq!(read(Some(json!("none"))).commands, []);
        let odd = json!([{"name": 7}, "roll", null, roll(), {"name": "x", "shape": "new"}]);
        assert_eq!(read(Some(odd)).commands.len(), 1);
        assert_eq!(read(Some(Value::from(vec![roll(); 40]))).commands.len(), MAX_COMMANDS);
    }
}
