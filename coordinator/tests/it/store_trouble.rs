//! Redis refuses commands while people write: their questions are kept, they are told once, and all are answered.

use std::time::Duration;

use serde_json::json;
use test_kit::{TestRedis, eventually};

use crate::support::{Telegram, coordinator, coordinator_command, queue_on, scripted_worker};

const KEPT: &str = "Your question is kept";

async fn nothing_was_counted(redis: &TestRedis) {
    let stats = queue_on(redis).await.stats(Duration::from_secs(60)).await.unwrap();
    for stats in stats {
        for counted in ["lost", "failed", "timeout", "retried", "dead"] {
            assert_eq!(stats.counters.get(counted), None, "{counted} of {}", stats.task_type);
        }
        assert_eq!((stats.active, stats.ready, stats.replies), (0, 0, 0));
    }
}

#[tokio::test]
async fn what_a_full_redis_accepted_is_answered_and_what_it_refuses_is_kept() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.bot_said_only(7, &["The luna"]).await;
    telegram.write(8, "noor").await;
    telegram.bot_says(8, KEPT).await;
    telegram.write(9, "/help").await;
    telegram.bot_says(9, "What I can do").await;
    running.says(&["Redis refuses commands", "OOM"]).await;
    // After several attempts, log and person were told once.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(running.log().matches("Redis refuses commands").count(), 1, "{}", running.log());
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    telegram.bot_said_only(8, &[KEPT, "The noor"]).await;
    running.says(&["Redis takes commands again"]).await;
    nothing_was_counted(&redis).await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_keeps_questions_in_the_askers_language() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
    redis.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    telegram.write(8, "noor").await;
    telegram.bot_says(8, KEPT).await;
    let german = json!({"chat_id": 11, "text": "noor", "language_code": "de"});
    telegram.post("/sim/messages", &german).await;
    telegram.bot_says(11, "Deine Frage ist gemerkt").await;
    // This answer needs no session.
    telegram.write(9, "/help").await;
    telegram.bot_says(9, "What I can do").await;
    // Longer than the polling lease: no other coordinator can take it meanwhile.
    tokio::time::sleep(Duration::from_secs(7)).await;
    telegram.write(10, "ines").await;
    telegram.bot_says(10, KEPT).await;
    redis.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    telegram.bot_said_only(8, &[KEPT, "The noor"]).await;
    telegram.bot_said_only(10, &[KEPT, "The ines"]).await;
    telegram.bot_said_only(11, &["Deine Frage ist gemerkt", "The noor"]).await;
    assert!(!running.log().contains("polling lease lost"), "{}", running.log());
    nothing_was_counted(&redis).await;
}

#[tokio::test]
async fn whoever_pressed_a_button_is_told_there_that_it_is_kept() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    let results = telegram.bot_says(7, "The luna").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    telegram.press(7, 7, &results, "The luna").await;
    eventually("the word on the button", async || {
        let toasts = telegram.chat(7, 7).await["toasts"].to_string();
        toasts.contains(KEPT).then_some(())
    })
    .await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    telegram.bot_said_only(7, &["An item"]).await;
}

#[tokio::test]
async fn a_question_that_is_kept_outlives_its_coordinator() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let first = coordinator(&redis, &telegram).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    telegram.write(7, "luna").await;
    telegram.bot_says(7, KEPT).await;
    first.kill();
    // Started while Redis is full. The note that somebody was told is a write that a full Redis accepts.
    let _second = coordinator(&redis, &telegram).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    telegram.bot_said_only(7, &[KEPT]).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    telegram.bot_said_only(7, &[KEPT, "The luna"]).await;
}

#[tokio::test]
async fn readiness_names_what_redis_refuses_and_what_helps() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = coordinator_command(&redis, &telegram);
    command.args(["--listen", &address]);
    let _running = test_kit::Process::start_until(&mut command, "coordinator ready").await;
    let ready =
        async || reqwest::get(format!("http://{address}/readyz")).await.unwrap().text().await;
    assert_eq!(ready().await.unwrap(), "ready\n");
    for (setting, ill, well, code, helps) in [
        ("maxmemory", "1", "0", "OOM", "Raise `maxmemory`"),
        ("min-replicas-to-write", "1", "0", "NOREPLICAS", "Bring a replica back"),
    ] {
        redis.ask(&["CONFIG", "SET", setting, ill]);
        let said = ready().await.unwrap();
        assert!(
            said.starts_with("not ready: ") && said.contains(code) && said.contains(helps),
            "{said}"
        );
        redis.ask(&["CONFIG", "SET", setting, well]);
        eventually("readiness", async || (ready().await.unwrap() == "ready\n").then_some(())).await;
    }
    redis.ask(&["ACL", "SETUSER", "default", "-xautoclaim"]);
    let said = ready().await.unwrap();
    assert!(said.contains("NOPERM") && said.contains("'XAUTOCLAIM'"), "{said}");
}

/// In the other order, an answer that comes in between would be stored, with a button for data that is deleted.
#[tokio::test]
async fn a_person_is_forgotten_before_their_questions_are_stopped() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let mut command = coordinator_command(&redis, &telegram);
    command.envs([("LIMIT_CHAT", "0"), ("LIMIT_OVERALL", "0")]);
    let running = test_kit::Process::start_until(&mut command, "coordinator ready").await;
    telegram.write(7, "luna").await;
    let asked = telegram.bot_says(7, "Looking for luna").await["message_id"].clone();
    telegram.write(7, "/settings").await;
    let settings = telegram.bot_says(7, "Settings").await;
    telegram.press(7, 7, &settings, "Forget me").await;
    let sure = telegram.bot_says(7, "This deletes").await;
    // The chosen language cannot be deleted.
    redis.ask(&["ACL", "SETUSER", "default", "-del", "(+del ~freefans:[^c]* ~[^f]*)"]);
    telegram.press(7, 7, &sure, "Yes, delete").await;
    running.says(&["Redis refuses commands", "NOPERM"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.ask(&["ACL", "SETUSER", "default", "+del", "clearselectors"]);
    telegram.bot_says(7, "Deleted").await;
    let stopped = telegram.bot_says(7, "Stopped").await;
    assert_eq!(stopped["message_id"], asked);
    assert_eq!(stopped["buttons"], serde_json::json!([]), "{stopped}");
}
