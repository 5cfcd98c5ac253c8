//! Telegram fails, refuses or asks to wait.

use std::time::Duration;

use serde_json::{Value, json};
use test_kit::{TestRedis, eventually};

use crate::support::{Telegram, coordinator, queue_on, scripted_worker};

#[tokio::test]
async fn an_answer_outlives_floods_errors_and_lost_replies() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let faults = ["429", "500", "drop", "apply_then_drop"];
    for (chat, fault) in faults.iter().enumerate() {
        let chat = i64::try_from(chat).unwrap() + 1;
        telegram.fault(json!({"method": "editMessageText", "fault": fault, "count": 2})).await;
        telegram.write(chat, "luna").await;
        telegram.bot_said_only(chat, &["The luna"]).await;
        telegram.clear_faults().await;
    }
}

#[tokio::test]
async fn updates_are_fetched_again_after_errors() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    for fault in ["500", "drop"] {
        telegram.fault(json!({"method": "getUpdates", "fault": fault})).await;
    }
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_long_poll_on_which_nothing_moves_is_asked_for_signs_of_life() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let running = coordinator(&redis, &telegram).await;
    let port = telegram.address().rsplit(':').next().unwrap().parse().unwrap();
    eventually("a long poll", async || {
        let kept = test_kit::kept_alive(running.id(), port);
        let polling = telegram.stats().await["polling"] == true;
        (polling && !kept.is_empty() && kept.iter().all(|kept| *kept)).then_some(())
    })
    .await;
    let Some(found) = test_kit::patience_of(running.id(), port) else {
        return eprintln!("skipped: no process may look at another's sockets here");
    };
    for connection in found {
        assert!((1..=5_000).contains(&connection.unacknowledged_ms), "{connection:?}");
        let asks_after = connection.asks_after;
        assert!(asks_after.is_some_and(|asks| asks <= Duration::from_secs(10)), "{connection:?}");
    }
}

#[tokio::test]
async fn a_conflict_that_lasts_is_told_once() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.fault(json!({"method": "getUpdates", "fault": "409", "count": 4})).await;
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
    let told = running.log().matches("another program polls with this bot's token").count();
    assert_eq!(told, 1, "{}", running.log());
}

#[tokio::test]
async fn a_server_that_says_only_what_is_needed_will_do() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    for method in ["getMe", "sendMessage", "editMessageText", "getWebhookInfo", "deleteWebhook"] {
        telegram.fault(json!({"method": method, "fault": "bare", "count": 1_000})).await;
    }
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test]
async fn a_coordinator_waits_for_a_server_that_is_not_well_yet() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    for fault in ["500", "429", "drop"] {
        telegram.fault(json!({"method": "getMe", "fault": fault})).await;
    }
    let running = coordinator(&redis, &telegram).await;
    assert_eq!(running.log().matches("waiting for the Bot API").count(), 3, "{}", running.log());
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test]
async fn a_person_who_blocked_the_bot_ends_their_answer_and_holds_up_nobody() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
    telegram.fault(json!({"method": "editMessageText", "fault": "403"})).await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    running.says(&["cannot write to the chat"]).await;
    telegram.write(8, "noor").await;
    telegram.bot_said_only(8, &["The noor"]).await;
    let queue = queue_on(&redis).await;
    let replies = queue.keys().replies(&"search_creator".parse().unwrap());
    eventually("an empty outbox", async || {
        let waiting: u64 =
            redis::cmd("XLEN").arg(&replies).query_async(&mut queue.connection()).await.unwrap();
        (waiting == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failed_task_is_told_in_plain_words() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "/random").await;
    telegram.bot_said_only(7, &["⚠️ I cannot answer this."]).await;
}

#[tokio::test]
async fn a_word_about_the_wait_that_is_late_does_not_cover_the_answer() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.fault(json!({"method": "editMessageText", "fault": "delay", "delay_ms": 3000})).await;
    telegram.write(7, "luna").await;
    eventually("a word about the wait on its way", async || {
        let calls = telegram.stats().await["calls"]["editmessagetext"].as_u64();
        (calls == Some(1)).then_some(())
    })
    .await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.bot_says(7, "The luna").await;
    eventually("the word after the answer", async || {
        let events = telegram.transcript(7).await;
        let word = |event: &Value| {
            event["text"].as_str().is_some_and(|text| text.contains("I cannot answer yet"))
        };
        events.iter().any(word).then_some(())
    })
    .await;
    telegram.bot_said_only(7, &["The luna"]).await;
    nothing_waits_in_the_outbox(&redis).await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

async fn nothing_waits_in_the_outbox(redis: &TestRedis) {
    let queue = queue_on(redis).await;
    let replies = queue.keys().replies(&queue::Lane::whole(&"search_creator".parse().unwrap()));
    eventually("an empty outbox", async || {
        let waiting: u64 =
            redis::cmd("XLEN").arg(&replies).query_async(&mut queue.connection()).await.unwrap();
        (waiting == 0).then_some(())
    })
    .await;
}
