//! The example plugin in a real worker, and its chat command.

use chat_commands::OfferedCommand;
use serde_json::{Value, json};
use test_kit::eventually;

use crate::offline::{file, plugins, said};
use crate::support::{Folder, component, redis, run, start_worker};

#[tokio::test]
async fn the_dice_answer_with_a_view_and_kindly_when_they_are_none() {
    let (redis, queue) = redis().await;
    let _worker = start_worker(&redis, &Folder::with(&["dice"])).await;
    let thrown = run(&queue, "roll_dice", json!({"dice": "3W6 + 1"})).await;
    assert!(thrown.success, "{thrown:?}");
    let view = &thrown.data["view"];
    let sum = &thrown.data["sum"];
    assert_eq!(view["text"], format!("🎲 3d6+1: **{sum}**"));
    assert_eq!(view["items"].as_array().unwrap().len(), 3);
    let again = &view["buttons"][0][0];
    assert_eq!(
        (&again["task_type"], &again["params"]),
        (&json!("roll_dice"), &json!({"dice": "3d6+1", "lang": "en"}))
    );

    let bare = run(&queue, "roll_dice", json!({})).await;
    assert!((1..=6).contains(&bare.data["sum"].as_i64().unwrap()), "{bare:?}");
    let mut sums = Vec::new();
    for _ in 0..5 {
        sums.push(run(&queue, "roll_dice", json!({"dice": "20d1000"})).await.data["sum"].clone());
    }
    sums.dedup();
    assert!(sums.len() > 1, "each throw is its own: {sums:?}");
    let none = run(&queue, "roll_dice", json!({"dice": "a hundred"})).await;
    assert_eq!(none.code(), Some("invalid-params"));
    assert!(none.error.unwrap().contains("for instance 2d6"));
}

#[tokio::test]
async fn a_command_is_in_the_workers_record_as_long_as_its_plugin_is_there() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["search"]);
    let _worker = start_worker(&redis, &folder).await;
    let offered = async || -> Vec<OfferedCommand> {
        let workers = queue.workers().await.unwrap();
        workers
            .into_iter()
            .flat_map(|worker| worker.plugins)
            .flat_map(|plugin| chat_commands::of_plugin(&plugin))
            .collect()
    };
    assert_eq!(offered().await, []);
    folder.put("dice", &std::fs::read(component("dice")).unwrap());
    let roll = eventually("the command", async || offered().await.pop()).await;
    assert_eq!((roll.name.as_str(), roll.task_type.as_str()), ("roll", "roll_dice"));
    assert_eq!(roll.description_in("de"), "Würfelt, zum Beispiel 2d6+1");
    assert_eq!(Value::from(roll.params_with("2d6", "de")), json!({"dice": "2d6", "lang": "de"}));
    std::fs::remove_file(folder.path().join("dice.wasm")).unwrap();
    eventually("no command", async || offered().await.is_empty().then_some(())).await;
}

#[test]
fn an_inspection_shows_the_commands() {
    let folder = Folder::with(&["dice"]);
    let dice = file(&folder, "dice.wasm");
    let people = said(&plugins(&["inspect", &dice]));
    assert!(people.contains("chat commands:\n  /roll asks for roll_dice: Roll dice"), "{people}");
    let facts: Value =
        serde_json::from_slice(&plugins(&["inspect", &dice, "--json"]).stdout).unwrap();
    assert_eq!(facts["plugin"]["commands"][0]["argument"]["example"], "2d6+1");
}

#[test]
fn a_plugin_with_a_wrong_command_is_refused_and_told_why() {
    let folder = Folder::with(&["dice"]);
    let whole = std::fs::read(component("dice")).unwrap();
    let text = b"Roll dice, for instance 2d6+1";
    let place = whole.windows(text.len()).position(|window| window == text).unwrap();
    let mut two_lines = whole.clone();
    two_lines[place + 10] = b'\n';
    folder.put("dice", &two_lines);
    for asked in ["check", "inspect"] {
        let told = said(&plugins(&[asked, &file(&folder, "dice.wasm")]));
        assert!(told.contains("command `roll`: a description must be one line"), "{told}");
    }
    let listed = said(&plugins(&["list", &folder.path().display().to_string()]));
    assert!(listed.contains("dice.wasm: refused") && listed.contains("command `roll`"), "{listed}");
}
