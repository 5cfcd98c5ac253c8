//! What administrators are told: one message for each cause, from all coordinators together, and one when it is over.

use std::time::Duration;

use queue::{FailureCode, Finish, TaskResult, TaskType};
use test_kit::{PATIENCE, Process, TestRedis, eventually, poll_until};

use crate::health::get;
use crate::support::{Telegram, coordinator_command, queue_on, real_worker, scripted_worker};

const ADMIN: i64 = 9;
const PERSON: i64 = 7;

/// A coordinator that looks each second.
async fn looking(redis: &TestRedis, telegram: &Telegram, more: &[(&str, &str)]) -> Process {
    let mut command = coordinator_command(redis, telegram);
    command.env("ADMIN_IDS", ADMIN.to_string()).env("ALERT_LOOK_SECONDS", "1");
    command.envs(more.iter().copied());
    Process::start_until(&mut command, "coordinator ready").await
}

async fn alerts(telegram: &Telegram) -> Vec<String> {
    let messages = telegram.bot_messages(ADMIN).await;
    let texts = messages.iter().filter_map(|message| message["text"].as_str());
    texts.filter(|text| !text.contains("Welcome")).map(str::to_owned).collect()
}

/// Waits until the administrator was told these parts, in this order, and nothing else.
async fn told(telegram: &Telegram, parts: &[&str]) {
    let mut last = Vec::new();
    let as_expected = poll_until(PATIENCE, async || {
        last = alerts(telegram).await;
        let fits = |(alert, part): (&String, &&str)| alert.contains(*part);
        (last.len() == parts.len() && last.iter().zip(parts).all(fits)).then_some(())
    });
    let as_expected = as_expected.await.is_some();
    assert!(as_expected, "told {last:?}, not {parts:?}");
}

/// Telegram, with an administrator who has written to the bot.
async fn telegram_with_admin() -> Telegram {
    let telegram = Telegram::start().await;
    telegram.write(ADMIN, "/start").await;
    telegram
}

/// Several looks of each coordinator, in which nothing more may be told.
async fn several_looks() {
    tokio::time::sleep(Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_a_worker_is_told_once_by_all_coordinators_and_once_when_it_is_over() {
    let redis = TestRedis::start();
    let telegram = telegram_with_admin().await;
    let first = looking(&redis, &telegram, &[]).await;
    let second = looking(&redis, &telegram, &[]).await;
    telegram.write(PERSON, "luna").await;
    told(&telegram, &["No worker is running: 1 task waits"]).await;
    // Whoever told it is gone, and the other one knows.
    first.kill();
    let third = looking(&redis, &telegram, &[]).await;
    several_looks().await;
    told(&telegram, &["No worker is running"]).await;
    second.kill();
    several_looks().await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    told(&telegram, &["No worker is running", "Over after"]).await;
    drop(third);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_writes_is_told_once_whatever_the_reason() {
    for (refuse, allow) in [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ] {
        let redis = TestRedis::start();
        let telegram = telegram_with_admin().await;
        let _all = [
            looking(&redis, &telegram, &[]).await,
            looking(&redis, &telegram, &[]).await,
            looking(&redis, &telegram, &[]).await,
        ];
        telegram.bot_says(ADMIN, "Welcome").await;
        several_looks().await;
        redis.ask(&refuse);
        told(&telegram, &["Redis cannot be used"]).await;
        // A question that waits for Redis is no second cause.
        telegram.write(PERSON, "luna").await;
        several_looks().await;
        told(&telegram, &["Redis cannot be used"]).await;
        redis.ask(&allow);
        told(&telegram, &["Redis cannot be used", "Over after"]).await;
        // The workers have no time to come: as if the trouble had lasted longer than their records.
        several_looks().await;
        let _worker = scripted_worker(&redis, Duration::ZERO).await;
        several_looks().await;
        told(&telegram, &["Redis cannot be used", "Over after"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_and_a_paused_type_are_mended_by_their_buttons() {
    let redis = TestRedis::start();
    let telegram = telegram_with_admin().await;
    let settings = [("ALERT_OLDEST_SECONDS", "2"), ("LISTEN", "127.0.0.1:0")];
    let coordinator = looking(&redis, &telegram, &settings).await;
    let queue = queue_on(&redis).await;
    let kind: TaskType = "search_creator".parse().unwrap();
    let task = queue::Task::new(kind.clone(), PERSON, serde_json::Map::new());
    queue.submit_task(&task).await.unwrap();
    let lease = queue.claim(std::slice::from_ref(&kind), "w", 1).await.unwrap().remove(0);
    let failed = TaskResult::failure(FailureCode::PluginFailed, "no");
    queue.store_result(lease, Finish::Failed, failed).await.unwrap();
    queue.set_paused(&kind, true).await.unwrap();
    let dead = telegram.bot_says(ADMIN, "search_creator has 1 dead letter").await;
    // A person who is no administrator gets nothing from the button.
    telegram.press(ADMIN, PERSON, &dead, "🔁 Try them again").await;
    telegram.press(ADMIN, ADMIN, &dead, "🔁 Try them again").await;
    let paused = telegram.bot_says(ADMIN, "is paused: 1 task waits").await;
    let _worker = scripted_worker(&redis, Duration::ZERO).await;
    telegram.press(ADMIN, ADMIN, &paused, "▶️ Resume").await;
    eventually("both told, and both over", async || {
        let alerts = alerts(&telegram).await;
        let over = alerts.iter().filter(|alert| alert.contains("Over after")).count();
        (alerts.len() == 4 && over == 2).then_some(())
    })
    .await;
    let log = coordinator.log();
    let (_, at) = log.split_once("serving health and metrics address=").unwrap();
    let (_, metrics) = get(at.split_whitespace().next().unwrap(), "/metrics").await;
    for event in ["begun", "over"] {
        let line = format!("freefans_admin_messages_total{{event=\"{event}\",outcome=\"sent\"}} 2");
        assert!(metrics.lines().any(|shown| shown == line), "no `{line}` in {metrics}");
    }
    let notes = telegram.transcript(ADMIN).await;
    let notes: Vec<&str> = notes
        .iter()
        .filter(|event| event["kind"] == "callback_answer")
        .map(|event| event["text"].as_str().unwrap_or_default())
        .collect();
    assert!(notes.contains(&"1 tried again."), "{notes:?}");
    assert!(notes.contains(&"search_creator goes on."), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_plugin_is_told_until_another_version_is_in_force() {
    let redis = TestRedis::start();
    let telegram = telegram_with_admin().await;
    let _coordinator = looking(&redis, &telegram, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let _worker = real_worker(&redis, folder.path()).await;
    let file = folder.path().join("search.wasm");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"\0asm no component").unwrap();
    told(&telegram, &["A new file of plugin search is refused on 1 worker"]).await;
    std::fs::write(&file, good).unwrap();
    told(&telegram, &["is refused", "Over after"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_set_elsewhere_is_told_by_one_of_several() {
    let redis = TestRedis::start();
    let telegram = telegram_with_admin().await;
    let leave = [("FOREIGN_WEBHOOK", "leave")];
    let _first = looking(&redis, &telegram, &leave).await;
    let _second = looking(&redis, &telegram, &leave).await;
    telegram.bot_says(ADMIN, "Welcome").await;
    let hook = serde_json::json!({"url": "https://other.example/secret"});
    telegram.call("setWebhook", &hook).await;
    told(
        &telegram,
        &["No messages arrive from Telegram: a foreign webhook is set to other.example"],
    )
    .await;
    telegram.call("deleteWebhook", &serde_json::json!({})).await;
    told(&telegram, &["No messages arrive", "Over after"]).await;
    assert!(!alerts(&telegram).await.concat().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_quiet_hours_only_what_is_urgent_is_told() {
    let redis = TestRedis::start();
    let telegram = telegram_with_admin().await;
    let always = [("ALERT_QUIET_HOURS", "00:00-23:59"), ("ALERT_WAITING", "1")];
    let _coordinator = looking(&redis, &telegram, &always).await;
    let queue = queue_on(&redis).await;
    let kind: TaskType = "search_creator".parse().unwrap();
    let _worker = scripted_worker(&redis, Duration::from_secs(600)).await;
    // More than the worker takes, so one waits: no longer than a minute.
    for person in 0..40 {
        let task = queue::Task::new(kind.clone(), person, serde_json::Map::new());
        queue.submit_task(&task).await.unwrap();
    }
    several_looks().await;
    told(&telegram, &[]).await;
    let other: TaskType = "load_more_pages".parse().unwrap();
    let task = queue::Task::new(other, PERSON, serde_json::Map::new());
    queue.submit_task(&task).await.unwrap();
    told(&telegram, &["No worker runs load_more_pages"]).await;
}
