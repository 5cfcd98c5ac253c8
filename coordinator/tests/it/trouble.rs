//! Telegram on a bad day.

use std::time::Duration;

use serde_json::json;
use test_kit::{TestRedis, eventually};

use crate::support::{Telegram, coordinator, queue_on, scripted_worker};

#[tokio::test]
async fn an_answer_outlives_floods_errors_and_lost_replies() {
    let (redis, telegram) = (TestRedis::start(), Telegram::start().await);
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
    let (redis, telegram) = (TestRedis::start(), Telegram::start().await);
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    for fault in ["500", "drop"] {
        telegram.fault(json!({"method": "getUpdates", "fault": fault})).await;
    }
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test]
async fn a_person_who_blocked_the_bot_ends_their_answer_and_holds_up_nobody() {
    let (redis, telegram) = (TestRedis::start(), Telegram::start().await);
    let running = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "Looking for luna").await;
    telegram.fault(json!({"method": "editMessageText", "fault": "403"})).await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    running.says(&["cannot be written to any more"]).await;
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
    let (redis, telegram) = (TestRedis::start(), Telegram::start().await);
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "/random").await;
    telegram.bot_said_only(7, &["⚠️ not in the script"]).await;
}
