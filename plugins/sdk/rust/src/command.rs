//! Chat commands that a plugin brings along.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// A chat command: `/roll 2d6` becomes a task of its task type.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    name: String,
    members: Map<String, Value>,
}

impl Command {
    /// A command without `/`: 1 to 32 lower case letters, digits and `_`. The description is in the chat's menu, 3 to 256
    /// characters.
    pub fn new(name: &str, description: &str, task_type: &str) -> Self {
        let members = [("name", name), ("description", description), ("task_type", task_type)];
        let members = members.map(|(member, text)| (member.to_owned(), text.into()));
        Self { name: name.to_owned(), members: Map::from_iter(members) }
    }

    /// The description in another language, two lower case letters such as `de`.
    #[must_use]
    pub fn described_in(mut self, language: &str, description: &str) -> Self {
        let descriptions = self.members.entry("descriptions").or_insert_with(|| json!({}));
        if let Value::Object(descriptions) = descriptions {
            descriptions.insert(language.to_owned(), description.into());
        }
        self
    }

    /// The param that takes the text after the command, if there is one.
    #[must_use]
    pub fn argument(self, param: &str) -> Self {
        self.with_argument("param", param.into()).with_argument("required", false.into())
    }

    /// The param that takes the text after the command. The bot asks for the text if it is missing.
    #[must_use]
    pub fn required_argument(self, param: &str) -> Self {
        self.with_argument("param", param.into()).with_argument("required", true.into())
    }

    /// An example of that text, at most 64 characters.
    #[must_use]
    pub fn example(self, text: &str) -> Self {
        self.with_argument("example", text.into())
    }

    /// The param that takes the person's language, two letters such as `de`.
    #[must_use]
    pub fn language_param(mut self, param: &str) -> Self {
        self.members.insert("language_param".to_owned(), param.into());
        self
    }

    /// A param that is always sent.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl Into<Value>) -> Self {
        let params = self.members.entry("params").or_insert_with(|| json!({}));
        if let Value::Object(params) = params {
            params.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Its name, without `/`.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn with_argument(mut self, member: &str, value: Value) -> Self {
        let argument = self.members.entry("argument").or_insert_with(|| json!({}));
        if let Value::Object(argument) = argument {
            argument.insert(member.to_owned(), value);
        }
        self
    }
}

impl Serialize for Command {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written_as_the_contract_says() {
        let command = Command::new("roll", "Roll dice", "roll_dice")
            .described_in("de", "Würfelt")
            .argument("dice")
            .example("2d6")
            .language_param("lang")
            .param("sides", 6);
        let expected = json!({
            "name": "roll", "description": "Roll dice", "descriptions": {"de": "Würfelt"},
            "task_type": "roll_dice", "params": {"sides": 6}, "language_param": "lang",
            "argument": {"param": "dice", "required": false, "example": "2d6"},
        });
        assert_eq!(serde_json::to_value(&command).unwrap(), expected);
    }
}
