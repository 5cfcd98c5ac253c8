//! What is known about queue, workers and plugins at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::task::now_ms;
use queue::{
    PluginEvent, RedisError, STUCK_AFTER, TaskQueue, TaskType, TypeStats, WORKER_GONE_AFTER,
    WorkerRecord,
};
use tokio::time::Instant;

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
    /// Redis could not be used a moment ago: the workers have had no time to say that they run.
    pub(super) recovering: bool,
}

impl Facts {
    /// The queue, unless Redis is or was just now what is wrong: tasks that wait for it are no second cause.
    pub(super) fn judged(&self) -> Option<&QueueFacts> {
        self.queue.as_ref().filter(|_| self.redis.is_none() && !self.recovering)
    }
}

/// When Redis could not be used for the last time.
#[derive(Debug, Default)]
pub(super) struct LastTrouble(Option<Instant>);

impl LastTrouble {
    /// Whether what Redis says at `now` may still be of the time before its trouble.
    fn recovering(&mut self, trouble: bool, now: Instant) -> bool {
        if trouble {
            self.0 = Some(now);
        }
        self.0.is_some_and(|last| now.duration_since(last) < WORKER_GONE_AFTER)
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

impl QueueFacts {
    /// Whether nobody takes tasks: no worker runs, or each one is drained.
    pub(super) fn is_unattended(&self) -> bool {
        self.workers.iter().all(|worker| worker.drained)
    }
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
pub(super) async fn read(
    queue: &TaskQueue,
    updates: Option<String>,
    last_trouble: &mut LastTrouble,
) -> Facts {
    let redis = TaskQueue::readiness(Some(queue)).await.err();
    let recovering = last_trouble.recovering(redis.is_some(), Instant::now());
    let queue = match read_queue(queue).await {
        Ok(facts) => Some(facts),
        Err(error) => {
            tracing::debug!(error = %error.source, "the state of the queue is not known");
            None
        }
    };
    Facts { redis, updates, queue, recovering }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_trouble_of_redis_the_workers_get_the_time_to_say_that_they_run() {
        let mut last = LastTrouble::default();
        let start = Instant::now();
        assert!(!last.recovering(false, start));
        assert!(last.recovering(true, start));
        let back = start + WORKER_GONE_AFTER - Duration::from_millis(1);
        assert!(last.recovering(false, back));
        assert!(last.recovering(true, back), "it went on");
        assert!(last.recovering(false, start + WORKER_GONE_AFTER));
        assert!(!last.recovering(false, back + WORKER_GONE_AFTER));
    }
}
