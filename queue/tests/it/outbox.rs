//! The outbox: every answer is delivered by some coordinator.

use std::time::Duration;

use queue::{Delivered, DeliveryState, Finish, Outbox, TaskQueue, TaskResult};
use serde_json::json;

use crate::support::{queue, task, task_type};

async fn answer(queue: &TaskQueue, cause: &str) {
    queue.submit_task(&task(1, cause)).await.unwrap();
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    queue.store_result(lease, Finish::Done, TaskResult::success(json!(cause))).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_a_dead_coordinator_had_read_is_taken_over() {
    let (_redis, queue) = queue().await;
    // Stored before the first coordinator.
    answer(&queue, "a").await;
    let mut first = Outbox::new(&queue, "first");
    first.refresh_lanes().await.unwrap();
    let read = first.read(10, Duration::from_millis(100)).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].task.reply_to, Some(json!({"chat_id": 1})));
    let mut second = Outbox::new(&queue, "second");
    second.refresh_lanes().await.unwrap();
    assert!(second.read(10, Duration::from_millis(50)).await.unwrap().is_empty());
    let taken = second.take_over(10, Duration::ZERO).await.unwrap();
    assert_eq!(taken.len(), 1);
    queue.acknowledge(&taken[0], Delivered::Shown).await.unwrap();
    assert!(second.take_over(10, Duration::ZERO).await.unwrap().is_empty());
    let state = queue.delivery_state(&taken[0].task.task_id).await.unwrap();
    assert_eq!(state, Some(DeliveryState::Delivered));
}

#[tokio::test]
async fn an_answer_is_marked_as_delivered_when_it_is_acknowledged() {
    let (_redis, queue) = queue().await;
    answer(&queue, "a").await;
    let id = task(1, "a").task_id;
    assert_eq!(queue.delivery_state(&id).await.unwrap(), Some(DeliveryState::Pending));
    let mut outbox = Outbox::new(&queue, "c");
    outbox.refresh_lanes().await.unwrap();
    let read = outbox.read(10, Duration::from_millis(100)).await.unwrap();
    queue.acknowledge(&read[0], Delivered::Shown).await.unwrap();
    assert_eq!(queue.delivery_state(&id).await.unwrap(), Some(DeliveryState::Delivered));
}

#[tokio::test]
async fn a_type_that_appears_later_is_read_too() {
    let (_redis, queue) = queue().await;
    let mut outbox = Outbox::new(&queue, "c");
    outbox.refresh_lanes().await.unwrap();
    assert!(outbox.read(10, Duration::from_millis(10)).await.unwrap().is_empty());
    answer(&queue, "a").await;
    outbox.refresh_lanes().await.unwrap();
    assert_eq!(outbox.read(10, Duration::from_millis(100)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_sender_of_an_unreadable_task_gets_an_answer() {
    let (_redis, queue) = queue().await;
    queue.submit_task(&task(1, "a")).await.unwrap();
    queue.submit_task(&task(2, "b")).await.unwrap();
    // One byte of its params is damaged.
    let key = queue.keys().data(&queue::Lane::whole(&task_type("echo")));
    let id = task(1, "a").task_id;
    let mut connection = queue.connection();
    let stored: Vec<u8> =
        redis::cmd("HGET").arg(&key).arg(id.as_str()).query_async(&mut connection).await.unwrap();
    let at = stored.windows(8).position(|window| window == b"\"params\"").unwrap() + 10;
    let broken = [&stored[..at], b"\"x\":\"\xff\",", &stored[at..]].concat();
    let () = redis::cmd("HSET")
        .arg(&key)
        .arg(id.as_str())
        .arg(broken)
        .query_async(&mut connection)
        .await
        .unwrap();
    let leases = queue.claim(&[task_type("echo")], "w", 10).await.unwrap();
    assert_eq!(leases.len(), 1, "its neighbour is run");
    let mut outbox = Outbox::new(&queue, "c");
    outbox.refresh_lanes().await.unwrap();
    let replies = outbox.read(10, Duration::from_millis(100)).await.unwrap();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].task.task_id, id);
    assert_eq!(replies[0].task.reply_to, Some(json!({"chat_id": 1})));
    assert_eq!(replies[0].result.code(), Some("invalid-task"));
}
