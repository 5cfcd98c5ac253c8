//! The queue's figures, read again and again. Every coordinator shows the same.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, gauge};
use ops::metric::BoundedNames;
use queue::{FailureCode, STUCK_AFTER, TaskQueue, TaskType, WorkerRecord};
use tokio_util::sync::CancellationToken;

use super::{
    CAPACITY, DEAD, EVENTS, OFFERED, OLDEST, OLDEST_REPLY, PAUSED, PLUGINS, RUNNING, TASKS, TYPES,
    WORKERS,
};

/// How often they are read.
const EVERY: Duration = Duration::from_secs(5);
/// A plugin's name is shorter.
const NAME_BYTES: usize = 64;
/// How many dead letters of a type are looked at.
const DEAD_AT_MOST: usize = 100;
/// Plugin versions that are shown; they come from workers' records.
static VERSIONS: BoundedNames = BoundedNames::new(500);

/// The counters that the queue's scripts keep.
const EVENT_NAMES: &[&str] = &[
    "submitted",
    "completed",
    "failed",
    "timeout",
    "cancelled",
    "retried",
    "lost",
    "stale",
    "dead",
    "duplicates",
    "rejected_full",
    "rejected_user",
    "delivered",
    "undeliverable",
];

/// Updates the figures until `shutdown`.
pub(crate) async fn watch_until(queue: TaskQueue, shutdown: CancellationToken) {
    let mut figures = Figures::default();
    loop {
        if let Err(error) = figures.read(&queue).await {
            queue.note_trouble(None, "read the metrics", &error.source);
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// What was shown last: a value that is gone is shown as 0.
#[derive(Debug, Default)]
struct Figures {
    versions: BTreeMap<(String, String), u32>,
    dead: BTreeMap<TaskType, Dead>,
}

/// Dead letters of a type by code.
#[derive(Debug, Default)]
struct Dead {
    count: u64,
    by_code: BTreeMap<&'static str, u32>,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52 are exact")]
    async fn read(&mut self, queue: &TaskQueue) -> Result<(), queue::RedisError> {
        for row in queue.stats(STUCK_AFTER).await? {
            let task_type = row.task_type.as_str().to_owned();
            if !TYPES.admits(&task_type) {
                continue;
            }
            for (state, count) in [
                ("ready", row.ready),
                ("delayed", row.delayed),
                ("active", row.active),
                ("stuck", row.stuck),
                ("replies", row.replies),
                ("dead", row.dead),
            ] {
                gauge!(TASKS, "task_type" => task_type.clone(), "state" => state).set(count as f64);
            }
            let seconds = |ms: u64| ms as f64 / 1_000.0;
            let switch = |on: bool| f64::from(u8::from(on));
            gauge!(OLDEST, "task_type" => task_type.clone()).set(seconds(row.oldest_ms));
            gauge!(OLDEST_REPLY, "task_type" => task_type.clone())
                .set(seconds(row.oldest_reply_ms));
            gauge!(PAUSED, "task_type" => task_type.clone()).set(switch(row.paused));
            gauge!(OFFERED, "task_type" => task_type.clone()).set(switch(row.offered));
            // Which counters there are is up to the scripts; what else is in the same hash was put there by somebody else.
            for (event, count) in row.counters {
                let Some(event) = EVENT_NAMES.iter().find(|name| **name == event) else { continue };
                counter!(EVENTS, "task_type" => task_type.clone(), "event" => *event)
                    .absolute(count);
            }
            self.read_dead(queue, &row.task_type, row.dead).await?;
        }
        let workers = queue.workers().await?;
        gauge!(WORKERS).set(workers.len() as f64);
        let sum = |of: fn(&WorkerRecord) -> usize| {
            workers.iter().map(of).fold(0_usize, usize::saturating_add) as f64
        };
        gauge!(CAPACITY).set(sum(|worker| worker.concurrency));
        gauge!(RUNNING).set(sum(|worker| worker.running));
        self.versions.values_mut().for_each(|count| *count = 0);
        for plugin in workers.into_iter().flat_map(|worker| worker.plugins) {
            let is_shown = plugin.name.len() <= NAME_BYTES
                && VERSIONS.admits(&format!("{} {}", plugin.name, plugin.version));
            if is_shown {
                *self.versions.entry((plugin.name, plugin.version)).or_default() += 1;
            }
        }
        for ((plugin, version), count) in &self.versions {
            gauge!(PLUGINS, "plugin" => plugin.clone(), "version" => version.clone())
                .set(f64::from(*count));
        }
        Ok(())
    }

    /// Reads the dead letters of a type when their number has changed.
    async fn read_dead(
        &mut self,
        queue: &TaskQueue,
        task_type: &TaskType,
        count: u64,
    ) -> Result<(), queue::RedisError> {
        let known = self.dead.entry(task_type.clone()).or_default();
        if known.count == count {
            return Ok(());
        }
        let letters = queue.dead_letters(task_type, DEAD_AT_MOST).await?;
        known.count = count;
        known.by_code.values_mut().for_each(|count| *count = 0);
        for letter in letters {
            let code = letter.result.and_then(|result| result.failure_code());
            *known.by_code.entry(code.map_or("unreadable", FailureCode::as_str)).or_default() += 1;
        }
        for (code, count) in &known.by_code {
            let task_type = task_type.as_str().to_owned();
            gauge!(DEAD, "task_type" => task_type, "code" => *code).set(f64::from(*count));
        }
        Ok(())
    }
}
