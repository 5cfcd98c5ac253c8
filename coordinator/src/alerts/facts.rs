//! What is known about queue, workers and plugins at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::task::now_ms;
use queue::{PluginEvent, RedisError, STUCK_AFTER, TaskQueue, TaskType, TypeStats, WorkerRecord};

/// Swaps of plugins that are looked at.
const EVENTS: usize = 200;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Why Redis cannot be used.
    pub(super) redis: Option<String>,
    /// Why no updates arrive.
    pub(super) updates: Option<String>,
    /// None when Redis does not answer.
    pub(super) queue: Option<QueueFacts>,
}

impl Facts {
    /// The queue, unless Redis is what is wrong: tasks that wait for it are no second cause.
    pub(super) fn judged(&self) -> Option<&QueueFacts> {
        self.queue.as_ref().filter(|_| self.redis.is_none())
    }
}

/// What Redis says.
#[derive(Debug, Default)]
pub(super) struct QueueFacts {
    pub(super) types: Vec<TypeStats>,
    /// The newest dead letter of each type that has some.
    pub(super) newest_dead: BTreeMap<TaskType, NewestDead>,
    pub(super) workers: Vec<WorkerRecord>,
    /// Newest first.
    pub(super) events: Vec<PluginEvent>,
}

/// A type's newest dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewestDead {
    pub(super) age: Duration,
    pub(super) code: Option<String>,
    /// The server that refused its last request, and how.
    pub(super) failed_request: Option<String>,
}

/// Reads them.
pub(super) async fn read(queue: &TaskQueue, updates: Option<String>) -> Facts {
    let redis = TaskQueue::readiness(Some(queue)).await.err();
    let queue = match read_queue(queue).await {
        Ok(facts) => Some(facts),
        Err(error) => {
            tracing::debug!(error = %error.source, "the state of the queue is not known");
            None
        }
    };
    Facts { redis, updates, queue }
}

async fn read_queue(queue: &TaskQueue) -> Result<QueueFacts, RedisError> {
    let types = queue.stats(STUCK_AFTER).await?;
    let mut newest_dead = BTreeMap::new();
    for row in types.iter().filter(|row| row.dead > 0) {
        if let Some(letter) = queue.dead_letters(&row.task_type, 1).await?.first() {
            let age = Duration::from_millis(now_ms().saturating_sub(letter.at()));
            let code = letter.code().map(str::to_owned);
            let failed_request = letter.failed_request().map(str::to_owned);
            newest_dead.insert(row.task_type.clone(), NewestDead { age, code, failed_request });
        }
    }
    let workers = queue.workers().await?;
    let events = queue.plugin_events(EVENTS).await?;
    Ok(QueueFacts { types, newest_dead, workers, events })
}
