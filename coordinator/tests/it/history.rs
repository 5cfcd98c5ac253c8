//! The history of finished tasks, from the question to the operator's command.

use std::process::Command;

use queue::TaskQueue;
use serde_json::Value;
use test_kit::{Process, TestRedis, eventually};

use crate::support::{
    COORDINATOR, Telegram, coordinator, coordinator_command, queue_on, real_worker,
    real_worker_command,
};

/// Runs `coordinator queue history ARGUMENTS`.
async fn history(redis: &TestRedis, arguments: &[&str]) -> String {
    let mut command = Command::new(COORDINATOR);
    command.args(["queue", "history"]).args(arguments);
    command.env("REDIS_URL", redis.url()).env_remove("TELEGRAM_BOT_TOKEN");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// The finished task of a person, once its delivery is known too: its id and its timeline.
async fn delivered(redis: &TestRedis, person: &str) -> (String, String) {
    eventually("the delivery in the history", async || {
        let page = history(redis, &["--person", person, "--json"]).await;
        let page: Value = serde_json::from_str(&page).ok()?;
        let id = page["tasks"][0]["task_id"].as_str()?.to_owned();
        let timeline = history(redis, &[&id]).await;
        timeline.contains("delivered").then_some((id, timeline))
    })
    .await
}

async fn entries(queue: &TaskQueue) -> u64 {
    let steps: u64 = redis::cmd("XLEN")
        .arg(queue.keys().history_steps())
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    queue.history().count().await.unwrap() + steps
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_became_of_a_question_and_the_person_can_be_forgotten() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let _worker = real_worker(&redis, folder.path()).await;
    let _coordinator = coordinator(&redis, &telegram).await;
    telegram.write(7, "luna").await;
    let answer = telegram.bot_says(7, "1. Luna Marlowe").await;
    telegram.write(8, "luna").await;
    telegram.bot_says(8, "1. Luna Marlowe").await;
    let (id, timeline) = delivered(&redis, "7").await;
    for part in ["completed", "submitted", "claimed by", "version ", "ended: completed"] {
        assert!(timeline.contains(part), "{part}: {timeline}");
    }
    let message = answer["message_id"].as_i64().unwrap();
    let shown = format!("delivered in chat 7, message {message}");
    assert!(timeline.contains(&shown), "{shown}: {timeline}");
    assert!(!timeline.to_lowercase().contains("luna"), "people's words are not kept: {timeline}");
    // Found by other filters, and not by those of others.
    for found in [["--type", "search_creator"], ["--status", "completed"], ["--minutes", "5"]] {
        assert!(history(&redis, &found).await.contains(&id), "{found:?}");
    }
    for other in [["--person", "9"], ["--status", "failed"], ["--plugin-version", "0.0.1"]] {
        assert!(history(&redis, &other).await.contains("0 tasks"), "{other:?}");
    }
    delivered(&redis, "8").await;
    telegram.write(7, "/settings").await;
    let settings = telegram.bot_says(7, "Settings").await;
    telegram.press(7, 7, &settings, "Forget me").await;
    let sure = telegram.bot_says(7, "This deletes").await;
    telegram.press(7, 7, &sure, "Yes, delete").await;
    telegram.bot_says(7, "Deleted").await;
    assert!(history(&redis, &["--person", "7"]).await.contains("0 tasks"));
    assert!(history(&redis, &["--person", "8"]).await.contains("1 tasks"));
    let said = history(&redis, &[&id]).await;
    assert!(said.contains("the history has no task"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_off_is_not_written_by_either_program() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut worker = real_worker_command(&redis, folder.path());
    let worker = Process::start_until(worker.env("HISTORY", "off"), "ready: ").await;
    let mut coordinator = coordinator_command(&redis, &telegram);
    let coordinator =
        Process::start_until(coordinator.env("HISTORY", "off"), "coordinator ready").await;
    telegram.write(7, "luna").await;
    telegram.bot_says(7, "1. Luna Marlowe").await;
    // Both write the rest of their history when they stop.
    assert_eq!((worker.terminate(), coordinator.terminate()), (Some(0), Some(0)));
    let queue = queue_on(&redis).await;
    assert_eq!(entries(&queue).await, 0);
}
