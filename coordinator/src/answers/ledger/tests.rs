use std::time::Duration;

use queue::{Delivered, Finish, Outbox, QueueConfig, Task, TaskResult, TaskType};
use serde_json::json;
use test_kit::{TestRedis, eventually};

use super::*;

async fn queue_on(redis: &TestRedis) -> TaskQueue {
    TaskQueue::connect(&redis.url(), QueueConfig::default()).await.unwrap()
}

fn task_type() -> TaskType {
    "search_creator".parse().unwrap()
}

fn question() -> Task {
    let mut task = Task::new(task_type(), 7, serde_json::Map::new());
    task.reply_to = Some(json!({"chat_id": 7}));
    task
}

#[tokio::test]
async fn the_first_placeholder_that_is_recorded_counts() {
    let redis = TestRedis::start();
    let queue = queue_on(&redis).await;
    let id = question().task_id;
    assert_eq!(read(&queue, &id).await.unwrap(), LedgerEntry::default());
    announce_placeholder(&queue, &id).await.unwrap();
    assert!(read(&queue, &id).await.unwrap().announced);
    assert_eq!(record_placeholder(&queue, &id, 41).await.unwrap().message_id, Some(41));
    assert_eq!(record_placeholder(&queue, &id, 42).await.unwrap().message_id, Some(41));
    assert_eq!(read(&queue, &id).await.unwrap().message_id, Some(41));
}

#[tokio::test]
async fn a_late_placeholder_learns_that_the_answer_was_sent() {
    let redis = TestRedis::start();
    let queue = queue_on(&redis).await;
    let task = question();
    queue.submit_task(&task).await.unwrap();
    assert!(!read(&queue, &task.task_id).await.unwrap().delivered());
    let lease = queue.claim(&[task_type()], "w", 1).await.unwrap().remove(0);
    queue.store_result(lease, Finish::Done, TaskResult::success(json!(1))).await.unwrap();
    let mut outbox = Outbox::new(&queue, "c");
    outbox.refresh_lanes().await.unwrap();
    let answers = outbox.read(10, Duration::from_millis(100)).await.unwrap();
    queue.acknowledge(&answers[0], Delivered::Shown).await.unwrap();
    let entry = record_placeholder(&queue, &task.task_id, 77).await.unwrap();
    assert!(entry.delivered());
    assert_eq!(entry.message_id, Some(77));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_that_redis_lost_is_recorded_again_with_its_task() {
    let mut redis = TestRedis::start();
    let queue = queue_on(&redis).await;
    // Submitted tasks are remembered from the first call on.
    queue.confirm_recent().await.unwrap();
    let task = question();
    queue.submit_task(&task).await.unwrap();
    record_placeholder(&queue, &task.task_id, 41).await.unwrap();
    assert_eq!(queue.confirm_recent().await.unwrap(), 0, "nothing is lost yet");
    let redis = tokio::task::spawn_blocking(move || {
        redis.kill();
        redis.revive();
        redis
    });
    let _redis = redis.await.unwrap();
    let lost = eventually("the new server", async || queue.confirm_recent().await.ok()).await;
    assert_eq!(lost, 1);
    assert_eq!(read(&queue, &task.task_id).await.unwrap().message_id, Some(41));
}
