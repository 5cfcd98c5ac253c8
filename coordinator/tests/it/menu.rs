//! The command menu: the bot's own commands, and those of plugins while a worker offers them.

use coordinator::keys::CoordinatorKeys;
use serde_json::{Value, json};
use test_kit::{TestRedis, component, eventually};

use crate::support::{
    COORDINATOR, Telegram, coordinator, queue_on, real_worker, scripted_worker_with,
};

/// Names and descriptions of the menu in a language, or of all others.
async fn menu(telegram: &Telegram, language: Option<&str>) -> Vec<(String, String)> {
    let asked = language.map_or_else(|| json!({}), |code| json!({"language_code": code}));
    let answer = telegram.call("getMyCommands", &asked).await;
    let text = |command: &Value, name: &str| command[name].as_str().unwrap().to_owned();
    let commands = answer["result"].as_array().unwrap().iter();
    commands.map(|command| (text(command, "command"), text(command, "description"))).collect()
}

/// Waits until the menu in a language has a command with this description, or does not have it.
async fn shows(telegram: &Telegram, language: Option<&str>, name: &str, expected: Option<&str>) {
    eventually(&format!("{expected:?} for /{name} in {language:?}"), async || {
        let menu = menu(telegram, language).await;
        // At first there is no menu.
        let set = menu.iter().any(|(name, _)| name == "help");
        let found = menu.iter().find(|(found, _)| found == name);
        (set && found.map(|(_, text)| text.as_str()) == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_plugins_command_comes_into_the_menu_and_leaves_it_with_its_file() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut worker = real_worker(&redis, folder.path()).await;
    let mut coordinator = coordinator(&redis, &telegram).await;
    shows(&telegram, None, "search", Some("Find a creator by name")).await;
    shows(&telegram, None, "roll", None).await;
    let part = folder.path().join("dice.part");
    std::fs::copy(component(COORDINATOR, "dice"), &part).unwrap();
    std::fs::rename(part, folder.path().join("dice.wasm")).unwrap();
    shows(&telegram, None, "roll", Some("Roll dice, for instance 2d6+1")).await;
    shows(&telegram, Some("en"), "roll", Some("Roll dice, for instance 2d6+1")).await;
    shows(&telegram, Some("de"), "roll", Some("Würfelt, zum Beispiel 2d6+1")).await;
    telegram.write(7, "/roll 3d6").await;
    let thrown = telegram.bot_says(7, "🎲 3d6: ").await;
    assert!(thrown["text"].as_str().unwrap().contains("\n3. shows "), "{thrown}");
    telegram.press(7, 7, &thrown, "d20").await;
    let again = telegram.bot_says(7, "🎲 1d20: ").await;
    assert_eq!(again["message_id"], thrown["message_id"], "a button changes its message");
    telegram.write(7, "/roll a hundred").await;
    telegram.bot_says(7, "I do not know these dice").await;
    std::fs::remove_file(folder.path().join("dice.wasm")).unwrap();
    shows(&telegram, None, "roll", None).await;
    shows(&telegram, Some("de"), "roll", None).await;
    telegram.write(7, "/roll 3d6").await;
    telegram.bot_says(7, "/roll is not available at the moment").await;
    assert!(worker.alive() && coordinator.alive(), "nothing was restarted");
}

#[tokio::test]
async fn a_menu_that_telegram_does_not_take_at_once_is_set_later() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    telegram.fault(json!({"method": "setMyCommands", "fault": "429", "retry_after": 1})).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    shows(&telegram, None, "roll", None).await;
}

#[tokio::test]
async fn many_coordinators_set_the_menu_once() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let commands =
        json!([{"name": "roll", "description": "Roll dice", "task_type": "search_creator"}]);
    let mut coordinators = Vec::new();
    for _ in 0..3 {
        coordinators.push(coordinator(&redis, &telegram).await);
    }
    shows(&telegram, Some("de"), "help", Some("Was ich kann")).await;
    let calls = async || telegram.stats().await["calls"]["setmycommands"].as_u64().unwrap();
    let first = calls().await;
    assert_eq!(first, 3, "for all others, English and German");
    // So slow that all of them see the change before the first has set the menu.
    let slow = json!({"method": "setMyCommands", "fault": "delay", "delay_ms": 1_500, "count": 3});
    telegram.fault(slow).await;
    let worker = scripted_worker_with(&redis, &commands).await;
    shows(&telegram, Some("de"), "roll", Some("Roll dice")).await;
    assert_eq!(calls().await, 2 * first);
    drop(worker);
    shows(&telegram, Some("de"), "roll", None).await;
    assert_eq!(calls().await, 3 * first);
    // A coordinator that starts finds the right menu.
    let last = coordinator(&redis, &telegram).await;
    last.says(&["coordinator ready"]).await;
    let queue = queue_on(&redis).await;
    let noted: Option<String> = redis::cmd("GET")
        .arg(queue.keys().known_commands())
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    assert!(noted.unwrap().contains("roll"), "what was there is remembered for a day");
}
