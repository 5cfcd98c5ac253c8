//! A partitioned type: its users are spread over lanes, and everything else is as with one queue.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{FailureCode, Finish, Outbox, QueueConfig, Task, TaskQueue, TaskResult};
use serde_json::{Map, json};

use crate::support::{another, eventually, quick, task_type, with_config};
use crate::worker::{Echo, start};

const USERS: i64 = 24;

async fn partitioned() -> (Option<test_kit::TestRedis>, TaskQueue) {
    let partitions = BTreeMap::from([(task_type("echo"), 4)]);
    with_config(QueueConfig { partitions, ..quick() }).await
}

fn task_of(queue: &TaskQueue, user_id: i64) -> Task {
    let lane = queue.lane_of(&task_type("echo"), user_id);
    let mut task = Task::in_lane(&lane, user_id, Map::new());
    task.reply_to = Some(json!({"chat_id": user_id}));
    task
}

#[tokio::test]
async fn tasks_of_all_partitions_run_and_are_answered() {
    let (redis, queue) = partitioned().await;
    // A process of its own, which starts before any partition is known and is not told of them.
    let working = another(redis.as_ref(), &queue, quick()).await;
    let worker = start(&working, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    eventually("the worker is there", async || {
        (!queue.workers().await.unwrap().is_empty()).then_some(())
    })
    .await;
    let tasks: Vec<Task> = (0..USERS).map(|user| task_of(&queue, user)).collect();
    let lanes: std::collections::BTreeSet<_> = tasks.iter().map(Task::lane).collect();
    assert_eq!(lanes.len(), 4, "24 people are spread over all lanes");
    for task in &tasks {
        queue.submit_task(task).await.unwrap();
    }
    assert_eq!(queue.task_types().await.unwrap(), [task_type("echo")], "one type for everyone");
    for task in &tasks {
        let result = queue.get_result(&task.task_id, Duration::from_secs(15)).await.unwrap();
        assert!(result.expect("an answer").success);
    }
    let mut outbox = Outbox::new(&queue, "c");
    outbox.refresh_lanes().await.unwrap();
    let mut answered = 0;
    eventually("all answers in the outbox", async || {
        for reply in outbox.read(10, Duration::from_millis(200)).await.unwrap() {
            queue.acknowledge(&reply, queue::Delivered::Shown).await.unwrap();
            answered += 1;
        }
        (answered == USERS).then_some(())
    })
    .await;
    let stats = queue.stats(Duration::from_secs(60)).await.unwrap();
    assert_eq!(stats.len(), 1);
    let count = |name: &str| stats[0].counters.get(name).copied().unwrap_or(0);
    assert_eq!((count("submitted"), count("completed"), count("delivered")), (24, 24, 24));
    worker.stop().await;
}

#[tokio::test]
async fn an_operator_handles_a_partitioned_type_as_one() {
    let (_redis, queue) = partitioned().await;
    let echo = task_type("echo");
    let tasks: Vec<Task> = (0..USERS).map(|user| task_of(&queue, user)).collect();
    for task in &tasks {
        queue.submit_task(task).await.unwrap();
    }
    queue.set_paused(&echo, true).await.unwrap();
    assert!(queue.claim(std::slice::from_ref(&echo), "w", 24).await.unwrap().is_empty());
    assert_eq!(queue.list(&echo, 100).await.unwrap().len(), 24);
    assert!(queue.cancel(&tasks[0].task_id).await.unwrap());
    queue.set_paused(&echo, false).await.unwrap();
    let leases = queue.claim(std::slice::from_ref(&echo), "w", 24).await.unwrap();
    assert_eq!(leases.len(), 23);
    let failed: Vec<_> = leases
        .into_iter()
        .map(|lease| (lease, Finish::Failed, TaskResult::failure(FailureCode::PluginFailed, "no")))
        .collect();
    queue.store_results(&failed).await.unwrap();
    let dead = queue.dead_letters(&echo, 100).await.unwrap();
    assert_eq!(dead.len(), 23);
    assert_eq!(queue.dead_letters(&echo, 5).await.unwrap(), dead[..5], "the newest of all");
    for letter in &dead {
        let again = queue.replay(&echo, &letter.entry).await.unwrap();
        assert_eq!(again.lane(), letter.task.as_ref().map(Task::lane), "back where it was");
    }
    assert_eq!(queue.queue_size(&echo).await.unwrap(), 23);
    assert!(queue.replay(&echo, &dead[0].entry).await.is_err(), "it is gone");
    assert!(queue.replay(&echo, "1-1.x").await.is_err());
}

#[tokio::test]
async fn partitions_share_a_rate() {
    let (_redis, queue) = partitioned().await;
    queue.announce_partitions().await.unwrap();
    let rate = "40/h".parse().unwrap();
    queue.set_rate_limit(&task_type("echo"), Some(rate)).await.unwrap();
    for user in 0..USERS {
        queue.submit_task(&task_of(&queue, user)).await.unwrap();
    }
    // One of each lane, and the next after an hour divided by ten.
    let mut claimed = 0;
    for _ in 0..3 {
        claimed += queue.claim(&[task_type("echo")], "w", 24).await.unwrap().len();
    }
    assert_eq!(claimed, 4);
    let limits = queue.type_limits(&task_type("echo")).await.unwrap();
    assert_eq!(limits.rate, Some(rate));
}
