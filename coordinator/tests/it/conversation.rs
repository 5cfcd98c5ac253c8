//! What a person sees.

use std::time::Duration;

use test_kit::{TestRedis, eventually};

use crate::support::{Telegram, coordinator, queue_on, scripted_worker};

#[tokio::test]
async fn a_question_gets_a_placeholder_at_once_that_becomes_the_answer() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    let placeholder = telegram.bot_says(7, "Looking for luna").await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let answer = telegram.bot_says(7, "The luna").await;
    assert_eq!(answer["message_id"], placeholder["message_id"]);
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test]
async fn an_answer_that_is_quicker_than_its_placeholder_waits_for_it() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    let slow = serde_json::json!({"method": "sendMessage", "fault": "delay", "delay_ms": 700});
    telegram.fault(slow).await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "The luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
}

#[tokio::test]
async fn a_pressed_button_is_answered_and_turns_its_message_into_the_answer() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    let results = telegram.bot_says(7, "The luna").await;
    telegram.press(7, 7, &results, "The luna").await;
    let items = telegram.bot_says(7, "An item").await;
    assert_eq!(items["message_id"], results["message_id"]);
    telegram.press(7, 7, &items, "Results").await;
    telegram.bot_says(7, "Found luna").await;
    telegram.bot_said_only(7, &["The luna"]).await;
    let answered = eventually("both presses answered", async || {
        let events = telegram.transcript(7).await;
        let notes = events.iter().filter(|event| event["kind"] == "callback_answer");
        let notes: Vec<String> =
            notes.map(|event| event["text"].as_str().unwrap().to_owned()).collect();
        (notes.len() == 2).then_some(notes)
    })
    .await;
    assert_eq!(answered, ["Opening The luna…", ""]);
}

#[tokio::test]
async fn somebody_elses_button_in_a_group_is_explained() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(-5, "just talk").await;
    telegram.write(-5, "/search@freefans_bot luna").await;
    let results = telegram.bot_says(-5, "The luna").await;
    telegram.press(-5, 99, &results, "The luna").await;
    eventually("the explanation", async || {
        let events = telegram.transcript(-5).await;
        events
            .iter()
            .any(|event| {
                event["text"].as_str().is_some_and(|text| text.contains("belong to somebody else"))
            })
            .then_some(())
    })
    .await;
    telegram.bot_said_only(-5, &["The luna"]).await;
}

#[tokio::test]
async fn everyone_in_a_crowd_is_answered_once() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::from_millis(5)).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    for question in 0..3 {
        for chat in 1..=40 {
            telegram.write(chat, &format!("name {question}")).await;
        }
    }
    for chat in 1..=40 {
        telegram.bot_said_only(chat, &["The name 0", "The name 1", "The name 2"]).await;
    }
}

#[tokio::test]
async fn a_person_with_too_much_under_way_is_told_so() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _coordinator = coordinator(&redis, &telegram).await;
    for n in 0..11 {
        telegram.write(7, &format!("name {n}")).await;
    }
    telegram.bot_says(7, "several open requests").await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    for n in 0..10 {
        telegram.bot_says(7, &format!("The name {n}")).await;
    }
}

#[tokio::test]
async fn nothing_is_left_behind_when_all_is_answered() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    for n in 0..5 {
        telegram.write(7, &format!("name {n}")).await;
        telegram.bot_says(7, &format!("The name {n}")).await;
    }
    let queue = queue_on(&redis).await;
    let search = "search_creator".parse().unwrap();
    let keys = queue.keys();
    let live =
        [keys.queue(&search), keys.active(&search), keys.deadline(&search), keys.data(&search)];
    eventually("empty keys", async || {
        let left: u64 =
            redis::cmd("EXISTS").arg(&live).query_async(&mut queue.connection()).await.unwrap();
        let waiting: u64 = redis::cmd("XLEN")
            .arg(keys.replies(&search))
            .query_async(&mut queue.connection())
            .await
            .unwrap();
        ((left, waiting) == (0, 0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_plugin_says_of_its_progress_is_shown_where_the_answer_will_be() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let _worker = scripted_worker(&redis, Duration::from_secs(600)).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    let placeholder = telegram.bot_says(7, "Looking for luna").await;
    let queue = queue_on(&redis).await;
    let search = "search_creator".parse().unwrap();
    let running = eventually("a task that runs", async || {
        let tasks = queue.list(&search, 10).await.unwrap();
        tasks.into_iter().find(|task| task.running_ms.is_some())
    })
    .await;
    let () = redis::cmd("SET")
        .arg(queue.keys().progress(&running.task_id))
        .arg(r#"{"text":"half way <there>","percent":50}"#)
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    let progress = telegram.bot_says(7, "half way <there> · 50 %").await;
    assert_eq!(progress["message_id"], placeholder["message_id"]);
    telegram.press(7, 7, &progress, "Stop").await;
    telegram.bot_said_only(7, &["✋ Stopped."]).await;
}
