//! Short times, a private Redis, and builders.

use std::time::Duration;

use queue::{QueueConfig, Task, TaskId, TaskQueue, TaskType};
use serde_json::json;
use test_kit::TestRedis;

pub(crate) use test_kit::eventually;

/// A lease of 600 ms: long enough for a busy machine, short enough to wait for.
pub(crate) fn quick() -> QueueConfig {
    QueueConfig {
        lease: Duration::from_millis(600),
        renew_every: Duration::from_millis(150),
        sweep_every: Duration::from_millis(50),
        time_to_live: Duration::from_secs(20),
        ..QueueConfig::default()
    }
}

pub(crate) async fn queue() -> (TestRedis, TaskQueue) {
    with_config(quick()).await
}

pub(crate) async fn with_config(config: QueueConfig) -> (TestRedis, TaskQueue) {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    (redis, queue)
}

pub(crate) fn task_type(name: &str) -> TaskType {
    name.parse().unwrap()
}

/// A task that is answered through the outbox.
pub(crate) fn task(user_id: i64, cause: &str) -> Task {
    let kind = task_type("echo");
    let mut task = Task::new(kind.clone(), user_id, serde_json::Map::new());
    task.task_id = TaskId::from_cause(&kind, cause);
    task.params.insert("cause".to_owned(), cause.into());
    task.reply_to = Some(json!({"chat_id": user_id}));
    task
}
