//! An unreadable update costs only itself: broken updates, unknown kinds, unknown senders.

use std::time::Duration;

use serde_json::{Value, json};
use test_kit::{Process, TestRedis, eventually};

use crate::support::{Telegram, coordinator, coordinator_command, free_address, scripted_worker};

/// A message of `person` in their private chat. `text` is raw JSON.
fn message(person: i64, text: &[u8]) -> Vec<u8> {
    let head = format!(
        "{{\"update_id\":%ID%,\"message\":{{\"message_id\":900,\"date\":1,\"from\":{{\"id\":{person},\
         \"is_bot\":false,\"first_name\":\"Mal\"}},\"chat\":{{\"id\":{person},\
         \"type\":\"private\",\"first_name\":\"Mal\"}},\"text\":"
    );
    [head.as_bytes(), text, b"}}"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_cannot_be_read_costs_nobody_else_anything() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let address = free_address();
    let mut command = coordinator_command(&redis, &telegram);
    command.env("LISTEN", &address);
    let running = Process::start_until(&mut command, "coordinator ready").await;
    let broken: [&[u8]; 9] = [
        b"\"luna \xff\xfe\"",
        br#""luna \ud83d""#,
        b"1e999",
        br#""x","text":"y""#,
        br#"{"a":["#,
        br#""no end"#,
        br#"[[[[[[[[["#,
        br#""luna \x""#,
        b"}}}",
    ];
    for (number, text) in (60..).zip(broken) {
        telegram.write(number, "/start").await;
        telegram.bot_says(number, "Welcome").await;
        telegram.raw_update(&message(number, text)).await;
        telegram.write(number + 100, "luna").await;
    }
    // Numbers that cannot be read, and values that are not objects.
    for junk in ["{\"update_id\":1e99}", "{\"update_id\":%ID%,\"update_id\":7}", "null", "{", "]"] {
        telegram.raw_update(junk.as_bytes()).await;
    }
    telegram.write(300, "noor").await;
    for chat in 160..169 {
        telegram.bot_said_only(chat, &["The luna"]).await;
    }
    telegram.bot_said_only(300, &["The noor"]).await;
    // The sender of an unreadable update is told, if the sender can be read.
    for chat in 60..64 {
        telegram.bot_said_only(chat, &["Welcome", "could not read this message"]).await;
    }
    eventually("nothing is left", async || {
        (telegram.stats().await["pending_updates"] == 0).then_some(())
    })
    .await;
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("freefans_updates_unreadable_total{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum();
    assert!(counted >= 12, "{metrics}");
    let told = running.log().matches("update skipped: not readable").count();
    assert_eq!(u64::try_from(told).unwrap(), counted, "{}", running.log());
    assert!(!running.log().contains("no end"), "the log quotes nobody");
}

/// Waits until the metrics at an address contain a line.
async fn is_counted(address: &str, line: &str) {
    eventually("it is counted", async || {
        let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        metrics.lines().any(|found| found == line).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_is_said_to_is_counted_by_its_rule() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let address = free_address();
    let mut command = coordinator_command(&redis, &telegram);
    command.env("LISTEN", &address);
    let _running = Process::start_until(&mut command, "coordinator ready").await;
    telegram.raw_update(b"{\"update_id\":%ID%,\"something_new\":{}}").await;
    let counted = "freefans_updates_passed_over_total{rule=\"kind\"} 1";
    is_counted(&address, counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_call_that_cannot_be_used_is_counted_by_its_method() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let address = free_address();
    let mut command = coordinator_command(&redis, &telegram);
    command.env("LISTEN", &address);
    let _running = Process::start_until(&mut command, "coordinator ready").await;
    telegram.fault(json!({"method": "sendMessage", "fault": "void"})).await;
    telegram.write(7, "/start").await;
    let counted = "freefans_telegram_answers_unreadable_total{method=\"sendMessage\"} 1";
    is_counted(&address, counted).await;
    // It was sent, and is not sent again.
    telegram.write(7, "/status").await;
    telegram.bot_said_only(7, &["Welcome", "no open requests"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_whose_data_cannot_be_read_is_answered() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = coordinator(&redis, &telegram).await;
    let press = b"{\"update_id\":%ID%,\"callback_query\":{\"id\":\"77\",\"from\":{\"id\":66,\"is_bot\":false,\
        \"first_name\":\"M\"},\"chat_instance\":\"1\",\"data\":\"\xff\"}}";
    telegram.raw_update(press).await;
    telegram.write(67, "luna").await;
    telegram.bot_said_only(67, &["The luna"]).await;
    eventually("the press is answered", async || {
        (telegram.stats().await["calls"]["answercallbackquery"] == 1).then_some(())
    })
    .await;
}

const GROUP: i64 = -1_000_000_000_007;

/// Asks in the name of the group and returns the answer.
async fn somebody_asks_as_the_group(telegram: &Telegram) -> Value {
    let sender = json!({"id": GROUP, "type": "supergroup", "title": "G"});
    telegram.raw_update(&in_group(sender, "/search@freefans_bot luna")).await;
    telegram.bot_says(GROUP, "The luna").await
}

fn in_group(sender: Value, text: &str) -> Vec<u8> {
    let group = json!({"id": GROUP, "type": "supergroup", "title": "G"});
    let mut update = json!({"update_id": 0, "message": {
        "message_id": 5, "date": 1, "chat": group, "text": text,
        "from": {"id": 1_087_968_824, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"},
    }});
    update["message"]["sender_chat"] = sender;
    update.to_string().replacen("\"update_id\":0", "\"update_id\":%ID%", 1).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_administrators_buttons_work_for_every_administrator() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = coordinator(&redis, &telegram).await;
    telegram.post("/sim/chats", &json!({"chat_id": GROUP})).await;
    telegram.post("/sim/administrators", &json!({"chat_id": GROUP, "user_id": 8})).await;
    let results = somebody_asks_as_the_group(&telegram).await;
    telegram.press(GROUP, 9, &results, "The luna").await;
    let turned_away = async |times| {
        eventually("whoever is no administrator is told so", async || {
            let toasts = telegram.chat(GROUP, 8).await["toasts"].to_string();
            (toasts.matches("Only its administrators").count() == times).then_some(())
        })
        .await;
    };
    turned_away(1).await;
    // While Telegram does not say who has the role, nobody has it.
    for (times, fault) in (2..).zip(["500", "429", "403"]) {
        telegram.fault(json!({"method": "getChatMember", "fault": fault})).await;
        telegram.press(GROUP, 8, &results, "The luna").await;
        turned_away(times).await;
    }
    // A late answer counts as none.
    let late = json!({"method": "getChatMember", "fault": "delay", "delay_ms": 7_000});
    telegram.fault(late).await;
    telegram.press(GROUP, 8, &results, "The luna").await;
    turned_away(5).await;
    telegram.fault(json!({"method": "getChatMember", "fault": "bare"})).await;
    telegram.press(GROUP, 8, &results, "The luna").await;
    telegram.bot_says(GROUP, "An item").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_belongs_to_its_creator_too() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = coordinator(&redis, &telegram).await;
    telegram.post("/sim/chats", &json!({"chat_id": GROUP})).await;
    let creator = json!({"chat_id": GROUP, "user_id": 8, "status": "creator"});
    telegram.post("/sim/administrators", &creator).await;
    let results = somebody_asks_as_the_group(&telegram).await;
    telegram.press(GROUP, 8, &results, "The luna").await;
    telegram.bot_says(GROUP, "An item").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn about_a_persons_button_no_chat_is_asked_who_is_its_administrator() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = coordinator(&redis, &telegram).await;
    telegram.post("/sim/chats", &json!({"chat_id": GROUP})).await;
    let asked = json!({"chat_id": GROUP, "user_id": 7, "text": "/search@freefans_bot luna"});
    telegram.post("/sim/messages", &asked).await;
    let results = telegram.bot_says(GROUP, "The luna").await;
    telegram.press(GROUP, 9, &results, "The luna").await;
    eventually("it is said whose button it is", async || {
        let toasts = telegram.chat(GROUP, 9).await["toasts"].to_string();
        toasts.contains("belong to somebody else").then_some(())
    })
    .await;
    assert_eq!(telegram.stats().await["calls"]["getchatmember"], Value::Null);
}
