//! What `describe` returns is wrong, or nobody reads it.

use serde_json::{Value, json};
use test_kit::DescribedGuest;

use super::mistake::Mistake;

pub(super) fn mistakes() -> Vec<Mistake> {
    let mut mistakes = names();
    mistakes.extend(schemas());
    mistakes.extend(commands());
    mistakes
}

fn guest() -> DescribedGuest {
    DescribedGuest::new("tide", &["tide"])
}

fn names() -> Vec<Mistake> {
    let named = |name: &str| DescribedGuest { name: name.to_owned(), ..guest() }.build();
    let version = |version: &str| DescribedGuest { version: version.to_owned(), ..guest() }.build();
    vec![
        Mistake::checked("a name that is none", named("Tide!")),
        Mistake::checked("a file that is not called as the plugin", named("tides")),
        Mistake::checked("a version that is none", version("1.0")),
        Mistake::checked(
            "a task type that is none",
            DescribedGuest::new("tide", &["get-tide"]).build(),
        ),
        Mistake::checked("no task type", DescribedGuest::new("tide", &[]).build()),
        Mistake::checked(
            "one task type twice",
            DescribedGuest::new("tide", &["tide", "tide"]).build(),
        ),
    ]
}

fn schemas() -> Vec<Mistake> {
    let mistake = |what: &str, schema: &str| {
        let task_types = vec![("tide".to_owned(), schema.to_owned())];
        Mistake::checked(what, DescribedGuest { task_types, ..guest() }.build())
    };
    let place = json!({"type": "string", "minlength": 1});
    vec![
        mistake("a schema that is not JSON", "{type: object}"),
        mistake("a type that JSON Schema does not have", r#"{"type": "dict"}"#),
        mistake(
            "`propertys` in a schema",
            r#"{"type": "object", "propertys": {"place": {"type": "string"}}}"#,
        ),
        mistake(
            "`requird` and `minlength` in a schema",
            &json!({"properties": {"place": place}, "requird": ["place"]}).to_string(),
        ),
        mistake(
            "a keyword that is not allowed",
            r#"{"$id": "https://example.org/tide", "type": "object"}"#,
        ),
        mistake(
            "a pattern that looks ahead",
            r#"{"properties": {"place": {"pattern": "^(?!x)"}}}"#,
        ),
    ]
}

fn commands() -> Vec<Mistake> {
    let schema = json!({"type": "object", "properties": {"place": {"type": "string", "pattern": "^[a-z]+$"}}});
    let with = |what: &str, extensions: Value| {
        let task_types = vec![("tide".to_owned(), schema.to_string())];
        let extensions = extensions.to_string();
        Mistake::checked(what, DescribedGuest { task_types, extensions, ..guest() }.build())
    };
    let command = |member: &str, value: Value| {
        let mut command =
            json!({"name": "tide", "description": "Says when the tide is", "task_type": "tide"});
        if let Some(members) = command.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
        command
    };
    let one =
        |member: &str, value: Value| json!({"version": 1, "commands": [command(member, value)]});
    let plain = command("params", json!({}));
    vec![
        with("`command` for `commands`", json!({"version": 1, "command": [plain]})),
        with("`arguments` for `argument`", one("arguments", json!({"param": "place"}))),
        with("`extensions` without a version", json!({"commands": [plain]})),
        with("`extensions` of another version", json!({"version": 2, "commands": [plain]})),
        with("a command with a name that is none", one("name", json!("Tide"))),
        with("a command with a name of the bot's own", one("name", json!("help"))),
        with("a command for a task type of somebody else", one("task_type", json!("ebb"))),
        with(
            "a command that sends a param which the schema does not have",
            one("argument", json!({"param": "plaice"})),
        ),
        with(
            "a command whose example does not fit the schema",
            one("argument", json!({"param": "place", "example": "Saint Malo"})),
        ),
    ]
}
