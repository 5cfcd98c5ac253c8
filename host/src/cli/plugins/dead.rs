//! A task that failed, from Redis, to run it here.

use anyhow::Context;
use ops::flags::RedisFlags;
use queue::{QueueConfig, Task, TaskId, TaskQueue};

/// Dead letters of a type that are looked through.
const MAX_LETTERS: usize = 10_000;

/// The task of a dead letter, or one that has no answer yet.
pub(super) async fn task(redis: &RedisFlags, id: &str) -> anyhow::Result<Task> {
    let id: TaskId = id.parse().map_err(|error| anyhow::anyhow!("--dead {id}: {error}"))?;
    let config = QueueConfig { redis_ca: redis.read_ca()?, ..QueueConfig::default() };
    let queue = TaskQueue::connect(redis.redis_url.expose(), config).await?;
    if let Some(task) = queue.show(&id).await?.and_then(|live| live.task) {
        return Ok(task);
    }
    let task_type = id.lane().map(|lane| lane.task_type().clone());
    let task_type = task_type.with_context(|| format!("{id} names no task type"))?;
    let letters = queue.dead_letters(&task_type, MAX_LETTERS).await?;
    let tasks = letters.into_iter().filter_map(|letter| letter.task);
    tasks.into_iter().find(|task| task.task_id == id).with_context(|| {
        format!("{id} is no dead letter and does not wait; `coordinator queue list {task_type} --dead` lists them")
    })
}
