//! Short times, a private Redis, and builders.

use std::time::Duration;

use queue::{Lane, QueueConfig, Task, TaskId, TaskQueue, TaskType};
use serde_json::json;
use test_kit::TestRedis;

pub(crate) use test_kit::eventually;

/// Short times. A lease of 600 ms is long enough for a busy machine, and short enough to wait for.
pub(crate) fn quick() -> QueueConfig {
    QueueConfig {
        lease: Duration::from_millis(600),
        renew_every: Duration::from_millis(150),
        sweep_every: Duration::from_millis(50),
        time_to_live: Duration::from_secs(20),
        ..QueueConfig::default()
    }
}

/// The server on which the suite runs, when [`crate::deployments`] runs it.
pub(crate) const URL: &str = "QUEUE_TEST_URL";
/// The certificate of that server, if it has one.
pub(crate) const CA: &str = "QUEUE_TEST_CA";

/// A queue, and its private server unless the suite has one.
pub(crate) async fn queue() -> (Option<TestRedis>, TaskQueue) {
    with_config(quick()).await
}

pub(crate) async fn with_config(config: QueueConfig) -> (Option<TestRedis>, TaskQueue) {
    let Ok(url) = std::env::var(URL) else {
        let redis = TestRedis::start();
        let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
        return (Some(redis), queue);
    };
    // Shared with other tests, so each has its own keys.
    let namespace = format!("freefans:{}", uuid::Uuid::new_v4().simple());
    let redis_ca = std::env::var_os(CA).map(|file| std::fs::read(file).unwrap());
    let queue = TaskQueue::connect(&url, QueueConfig { namespace, redis_ca, ..config }).await;
    (None, queue.unwrap())
}

/// The same queue, as another process sees it.
pub(crate) async fn another(
    redis: Option<&TestRedis>,
    queue: &TaskQueue,
    config: QueueConfig,
) -> TaskQueue {
    let url = redis.map_or_else(|| std::env::var(URL).unwrap(), TestRedis::url);
    let QueueConfig { namespace, redis_ca, .. } = queue.config().clone();
    TaskQueue::connect(&url, QueueConfig { namespace, redis_ca, ..config }).await.unwrap()
}

/// An id that another producer chose. In a Cluster it must begin with its type too.
pub(crate) fn foreign_id(name: &str) -> String {
    let in_cluster = std::env::var(URL).is_ok_and(|url| url.contains("-cluster:"));
    if in_cluster { format!("{{echo}}{name}") } else { name.to_owned() }
}

/// How often a command has run since the last `CONFIG RESETSTAT`.
pub(crate) fn runs(redis: &TestRedis, command: &str) -> usize {
    let info = redis.ask(&["INFO", "commandstats"]);
    let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:")));
    let runs = line.and_then(|line| line.split("calls=").nth(1)?.split(',').next());
    runs.map_or(0, |runs| runs.parse().unwrap())
}

pub(crate) fn task_type(name: &str) -> TaskType {
    name.parse().unwrap()
}

/// A task that is answered through the outbox.
pub(crate) fn task(user_id: i64, cause: &str) -> Task {
    let kind = task_type("echo");
    let mut task = Task::new(kind.clone(), user_id, serde_json::Map::new());
    task.task_id = TaskId::from_cause(&Lane::whole(&kind), cause);
    task.params.insert("cause".to_owned(), cause.into());
    task.reply_to = Some(json!({"chat_id": user_id}));
    task
}
