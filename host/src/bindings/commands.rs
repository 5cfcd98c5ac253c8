//! The chat commands in a plugin's `extensions`: reads them, checks them against the queue's rules, and tries their
//! params on the schemas.
//!
//! An unknown version of `extensions`, and unknown names within one, are ignored: they are for later hosts. A remark says
//! so, because mostly they are misspelt.

use std::collections::{BTreeSet, HashMap};

use chat_commands::remarks::{Place, Remarks};
use chat_commands::{CommandArgument, MAX_COMMANDS, OfferedCommand};
use queue::TaskType;
use serde_json::{Map, Value};

use super::DescribedType;
use super::schema::ParamsSchema;
use super::schema::keywords::KnownParams;

/// The version of `extensions` that is supported.
const VERSION: u64 = 1;

/// Reads the commands in `extensions`. A command with the name of one of the bot's own is ignored, with a remark: the bot
/// gets new commands over time, and the plugin works without the command. The error says what is wrong.
pub(crate) fn read(
    extensions: &Map<String, Value>,
    task_types: &[TaskType],
    remarks: &mut Remarks,
) -> Result<Vec<OfferedCommand>, String> {
    let place = Place::root("extensions");
    let Some(listed) = extensions.get("commands") else { return Ok(Vec::new()) };
    match extensions.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(version) => {
            remarks.add(&place.name("version"), || {
                format!("{version} is not known here, so all of it is ignored; write \"version\": {VERSION}")
            });
            return Ok(Vec::new());
        }
        None => {
            return Err(
                "`extensions` has `commands` and no `version`; write \"version\": 1".to_owned()
            );
        }
    }
    let Value::Array(listed) = listed else {
        return Err("`commands` in `extensions` is not a list".to_owned());
    };
    if listed.len() > MAX_COMMANDS {
        let count = listed.len();
        return Err(format!("it has {count} commands; at most {MAX_COMMANDS} are allowed"));
    }
    let mut names = BTreeSet::new();
    let mut commands = Vec::new();
    let place = place.name("commands");
    for (index, command) in listed.iter().enumerate() {
        let place = place.index(index);
        remark_on_names(command, &place, remarks);
        let command: OfferedCommand = serde_json::from_value(command.clone())
            .map_err(|error| format!("command number {} cannot be read: {error}", index + 1))?;
        if command.is_reserved() {
            remarks.add(&place, || {
                format!(
                    "command `{}` is one of the bot's own and is left out; give the plugin's another name",
                    command.name
                )
            });
            continue;
        }
        command.check(task_types)?;
        if !names.insert(command.name.clone()) {
            return Err(format!("it names the command `{}` twice", command.name));
        }
        commands.push(command);
    }
    Ok(commands)
}

/// Remarks on names in a command's JSON that nobody reads.
fn remark_on_names(command: &Value, place: &Place<'_>, remarks: &mut Remarks) {
    if let Value::Object(members) = command {
        remarks.add_unknown(members, OfferedCommand::NAMES, place);
    }
    if let Some(Value::Object(argument)) = command.get("argument") {
        remarks.add_unknown(argument, CommandArgument::NAMES, &place.name("argument"));
    }
}

/// Remarks on params that commands send and that their schemas do not list.
pub(crate) fn remark_on_params(
    commands: &[OfferedCommand],
    task_types: &[DescribedType],
    remarks: &mut Remarks,
) {
    for command in commands {
        let described = task_types.iter().find(|described| described.name == command.task_type);
        let Some(described) = described else { continue };
        let known = KnownParams::of(&described.params_schema);
        let argument = command.argument.as_ref().map(|argument| &argument.param);
        for param in command.params.keys().chain(argument).chain(&command.language_param) {
            if let Some(problem) = known.problem(param) {
                let name = format!("/{}", command.name);
                remarks.add(&Place::root(&name), || problem);
            }
        }
    }
}

/// Checks that the params of commands fit their schemas: without an argument where that is allowed, and with the example
/// argument. The error names the first that does not fit.
pub(crate) fn check_params(
    commands: &[OfferedCommand],
    schemas: &HashMap<TaskType, ParamsSchema>,
) -> Result<(), String> {
    for command in commands {
        let Some(schema) = schemas.get(&command.task_type) else { continue };
        let argument = command.argument.as_ref();
        let bare = argument.is_none_or(|argument| !argument.required).then_some("");
        let example = argument.and_then(|argument| argument.example.as_deref());
        for text in bare.into_iter().chain(example) {
            let params = Value::Object(command.params_with(text, "en"));
            if let Some(misfit) = schema.misfit(&params, params.to_string().len()) {
                let written = format!("/{} {text}", command.name);
                return Err(format!(
                    "what `{}` sends does not fit the schema of `{}`: {misfit}",
                    written.trim_end(),
                    command.task_type
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roll() -> Value {
        json!({"name": "roll", "description": "Roll dice", "task_type": "roll_dice"})
    }

    fn read_of(extensions: &Value) -> Result<Vec<OfferedCommand>, String> {
        let task_types = ["roll_dice".parse().unwrap()];
        read(extensions.as_object().unwrap(), &task_types, &mut Remarks::unwanted())
    }

    #[track_caller]
    fn refused(extensions: &Value, part: &str) {
        let told = read_of(extensions).unwrap_err();
        assert!(told.contains(part), "{told}");
    }

    #[test]
    fn commands_are_read_and_what_is_unknown_is_passed_over() {
        let mut command = roll();
        command["icon"] = json!("die");
        let read = read_of(&json!({"version": 1, "commands": [command], "views": 7})).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].name, "roll");
        for none in [json!({}), json!({"version": 1}), json!({"version": 2, "commands": "new"})] {
            assert_eq!(read_of(&none), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_command_called_like_one_of_the_bots_own_is_left_out_and_told() {
        for name in chat_commands::RESERVED {
            let mut own = roll();
            own["name"] = json!(name);
            let extensions = json!({"version": 1, "commands": [own, roll()]});
            let mut remarks = Remarks::new();
            let task_types = ["roll_dice".parse().unwrap()];
            let read = read(extensions.as_object().unwrap(), &task_types, &mut remarks).unwrap();
            assert_eq!((read.len(), read[0].name.as_str()), (1, "roll"));
            let remarks = remarks.into_lines();
            let part = format!("command `{name}` is one of the bot's own and is left out");
            assert!(remarks.len() == 1 && remarks[0].contains(&part), "{remarks:?}");
        }
    }

    #[test]
    fn what_nobody_reads_is_told() {
        let mut command = roll();
        command["arguments"] = json!({});
        command["argument"] = json!({"param": "dise", "exemple": "2d6"});
        let extensions = json!({"version": 1, "commands": [command]});
        let schema = json!({"properties": {"dice": {"type": "string"}}});
        let task_types = [DescribedType {
            name: "roll_dice".parse().unwrap(),
            summary: String::new(),
            params_schema: schema,
        }];
        let mut remarks = Remarks::new();
        let own = ["roll_dice".parse().unwrap()];
        let commands = read(extensions.as_object().unwrap(), &own, &mut remarks).unwrap();
        remark_on_params(&commands, &task_types, &mut remarks);
        assert_eq!(
            remarks.into_lines(),
            [
                "`extensions.commands[0].arguments`: this name is not known and is passed over; did you mean `argument`?",
                "`extensions.commands[0].argument.exemple`: this name is not known and is passed over; did you mean `example`?",
                "`/roll`: its schema has no param `dise`, so nothing checks it; did you mean `dice`?",
            ]
        );
    }

    #[test]
    fn a_wrong_command_is_refused_and_named() {
        let with = |commands: Value| json!({"version": 1, "commands": commands});
        refused(&json!({"commands": [roll()]}), "no `version`");
        refused(&with(json!("roll")), "not a list");
        refused(&with(json!([roll(), {"name": "x"}])), "command number 2 cannot be read");
        refused(&with(json!([roll(), roll()])), "`roll` twice");
        refused(&with(Value::from(vec![roll(); 17])), "17 commands");
        let mut foreign = roll();
        foreign["task_type"] = json!("load_content");
        refused(&with(json!([foreign])), "command `roll`: the plugin does not handle");
    }

    #[track_caller]
    fn tried(argument: Value, params: Value, expected: Option<&str>) {
        let mut command = roll();
        command["argument"] = argument;
        command["params"] = params;
        let commands = read_of(&json!({"version": 1, "commands": [command]})).unwrap();
        let schema = ParamsSchema::new(&json!({
            "type": "object", "required": ["dice"],
            "properties": {"dice": {"type": "string", "pattern": "^[0-9]+d[0-9]+$"}},
        }));
        let schemas = HashMap::from([("roll_dice".parse().unwrap(), schema.unwrap())]);
        let told = check_params(&commands, &schemas).err();
        match expected {
            Some(part) => assert!(told.as_deref().unwrap_or_default().contains(part), "{told:?}"),
            None => assert_eq!(told, None),
        }
    }

    #[test]
    fn what_a_command_sends_fits_its_schema() {
        let argument =
            |required: bool| json!({"param": "dice", "required": required, "example": "2d6"});
        tried(argument(true), json!({}), None);
        tried(argument(false), json!({}), Some("what `/roll` sends"));
        tried(
            json!({"param": "dice", "required": true, "example": "two"}),
            json!({}),
            Some("/roll two"),
        );
        tried(Value::Null, json!({"dice": "1d6"}), None);
        tried(Value::Null, json!({"dice": 6}), Some("`roll_dice`"));
    }
}
