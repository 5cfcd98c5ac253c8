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
    let lane = id.lane().with_context(|| format!("{id} names no task type"))?;
    let letter = queue.dead_letter_of(&id, MAX_LETTERS).await?;
    letter.and_then(|letter| letter.task).with_context(|| {
        let task_type = lane.task_type();
        format!("{id} is no dead letter and does not wait; `coordinator queue list {task_type} --dead` lists them")
    })
}
