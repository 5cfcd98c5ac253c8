use serde_json::{Value, json};

use super::*;

fn command(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "task_type": "roll_dice"})
}

fn plugin(name: &str, version: &str, commands: &[Value]) -> Value {
    json!({"name": name, "version": version, "digest": "", "task_types": ["roll_dice"], "commands": commands})
}

fn worker(name: &str, plugins: &[Value]) -> WorkerRecord {
    let record = json!({"worker": name, "started_at": 0, "concurrency": 1, "running": 0, "plugins": plugins});
    serde_json::from_value(record).unwrap()
}

/// Each command's owner if none had an owner before: the first plugin by name that has it.
fn owned(workers: &[WorkerRecord]) -> CommandOwners {
    let mut owners = CommandOwners::new();
    let plugins = workers.iter().flat_map(|worker| &worker.plugins);
    for (command, plugin) in plugins.flat_map(|plugin| {
        let commands = chat_commands::of_plugin(plugin);
        commands.into_iter().map(move |command| (command.name, plugin.name.clone()))
    }) {
        let owner = owners.entry(command).or_insert_with(|| plugin.clone());
        *owner = owner.clone().min(plugin);
    }
    owners
}

/// Each command as `name: description`, and all complaints.
fn merged(workers: &[WorkerRecord]) -> (Vec<String>, String) {
    merged_for(workers, &owned(workers))
}

fn merged_for(workers: &[WorkerRecord], owners: &CommandOwners) -> (Vec<String>, String) {
    let (menu, complaints) = offered(workers, owners);
    let commands =
        menu.iter().map(|command| format!("{}: {}", command.name, command.description)).collect();
    (commands, complaints.into_iter().collect::<Vec<_>>().join("; "))
}

#[test]
fn what_many_workers_offer_is_in_the_menu_once() {
    let dice = || plugin("dice", "1.0.0", &[command("roll", "Roll dice")]);
    let coin = plugin("coin", "1.0.0", &[command("flip", "Flip a coin")]);
    let workers = [worker("a", &[dice()]), worker("b", &[coin, dice()]), worker("c", &[])];
    let all = vec!["flip: Flip a coin".to_owned(), "roll: Roll dice".to_owned()];
    assert_eq!(merged(&workers), (all, String::new()));
    let (menu, _) = offered(&workers, &owned(&workers));
    assert!(menu.offers(&"roll_dice".parse().unwrap()));
    assert!(!menu.offers(&"load_content".parse().unwrap()));
    assert_eq!(merged(&[]), (Vec::new(), String::new()));
}

#[test]
fn of_two_plugins_with_one_command_its_owner_has_it() {
    let first = worker("z", &[plugin("cubes", "1.0.0", &[command("roll", "Roll cubes")])]);
    let second = worker("a", &[plugin("dice", "9.0.0", &[command("roll", "Roll dice")])]);
    for (owner, text, other) in [("cubes", "Roll cubes", "dice"), ("dice", "Roll dice", "cubes")] {
        let owners = CommandOwners::from([("roll".to_owned(), owner.to_owned())]);
        for workers in [[first.clone(), second.clone()], [second.clone(), first.clone()]] {
            let (commands, complaints) = merged_for(&workers, &owners);
            assert_eq!(commands, [format!("roll: {text}")]);
            assert_eq!(
                complaints,
                format!("plugin `{other}`: command `roll` is plugin `{owner}`'s")
            );
        }
    }
    // While its owner is away, nobody else gets it, and the log says how to change that.
    let owners = CommandOwners::from([("roll".to_owned(), "dice".to_owned())]);
    let (commands, complaints) = merged_for(&[first], &owners);
    assert!(
        commands.is_empty() && complaints.contains("`coordinator commands release roll`"),
        "{complaints}"
    );
}

#[test]
fn while_a_plugin_is_swapped_its_newest_version_counts() {
    let old =
        worker("a", &[plugin("dice", "1.9.0", &[command("roll", "Old"), command("gone", "Old")])]);
    let new = worker("b", &[plugin("dice", "1.10.0", &[command("roll", "New")])]);
    for workers in [[old.clone(), new.clone()], [new, old]] {
        let (commands, complaints) = merged(&workers);
        assert_eq!(commands, ["gone: Old", "roll: New"]);
        assert_eq!(complaints, "");
    }
}

#[test]
fn a_worker_is_not_trusted() {
    let odd = [
        command("search", "Takes over the search"),
        command("Roll", "No name"),
        command("bidi", "a\u{202e}b"),
        json!({"name": "foreign", "description": "Another's", "task_type": "load_content"}),
        json!("nothing"),
        command("roll", "Roll dice"),
    ];
    let (commands, complaints) = merged(&[worker("a", &[plugin("dice", "1.0.0", &odd)])]);
    assert_eq!(commands, ["roll: Roll dice"]);
    for part in
        ["`search`: the name is one of the bot's own", "a command's name", "`bidi`", "`foreign`"]
    {
        assert!(complaints.contains(part), "{complaints}");
    }
    assert_eq!(complaints.matches("plugin `dice`").count(), 4);
}

#[test]
fn the_menu_has_an_end() {
    let plugins: Vec<Value> = (0..9)
        .map(|n| {
            let commands: Vec<Value> =
                (0..9).map(|m| command(&format!("c{n}_{m}"), "Something")).collect();
            plugin(&format!("p{n}"), "1.0.0", &commands)
        })
        .collect();
    let (commands, complaints) = merged(&[worker("a", &plugins)]);
    assert_eq!(commands.len(), MAX_COMMANDS);
    assert!(commands.contains(&"c0_0: Something".to_owned()));
    assert!(complaints.contains("command `c8_8` is one too many"), "{complaints}");
}
