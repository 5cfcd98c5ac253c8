use serde_json::json;

use super::*;

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
        check("/name", json!(name), Some("it must have 1 to 32"));
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
    assert_eq!(Value::from(command.params_with("2d6", "en")), json!({"sides": 6, "dice": "2d6"}));
    assert_eq!(Value::from(command.params_with("", "en")), json!({"sides": 6}));
    assert_eq!(command.description_in("de"), "Würfelt");
    assert_eq!(command.description_in("fr"), "Roll dice");
}

#[test]
fn a_record_is_read_whatever_its_commands_are() {
    let read = |commands: Option<Value>| -> OfferedPlugin {
        let mut record =
            json!({"name": "dice", "version": "1.0.0", "digest": "", "task_types": ["roll_dice"]});
        if let Some(commands) = commands {
            record["commands"] = commands;
        }
        serde_json::from_value(record).unwrap()
    };
    let old = read(None);
    assert_eq!(of_plugin(&old), []);
    assert!(!serde_json::to_string(&old).unwrap().contains("commands"));
    assert_eq!(of_plugin(&read(Some(json!("none")))), []);
    let odd = json!([{"name": 7}, "roll", null, roll(), {"name": "x", "shape": "new"}]);
    assert_eq!(of_plugin(&read(Some(odd))).len(), 1);
    assert_eq!(of_plugin(&read(Some(Value::from(vec![roll(); 40])))).len(), MAX_COMMANDS);
}

#[test]
fn the_names_of_a_command_are_known() {
    let mut command = roll();
    command["language_param"] = json!("lang");
    command["argument"]["required"] = json!(true);
    let command: OfferedCommand = serde_json::from_value(command).unwrap();
    let json = serde_json::to_value(command).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let sorted = |known: &[&str]| {
        let mut known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        known.sort();
        known
    };
    assert_eq!(names(&json), sorted(OfferedCommand::NAMES));
    assert_eq!(names(&json["argument"]), sorted(CommandArgument::NAMES));
}
