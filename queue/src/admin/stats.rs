//! Counts and ages by task type.
//!
//! They come from several reads, so two numbers may be from different moments.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use redis::streams::StreamRangeReply;
use serde::Serialize;

use super::dead_letters::entry_time;
use crate::admin::type_limits::TypeLimits;
use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::time::millis;
use crate::task::{Lane, TaskType};

/// Most running tasks that are checked for being stuck.
const MAX_RUNNING_CHECKED: isize = 1_000;

/// A task that has run for longer counts as stuck: above any plugin's default wall limit.
pub const STUCK_AFTER: Duration = Duration::from_secs(35);

/// Statistics of one task type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeStats {
    /// The type.
    pub task_type: TaskType,
    /// Tasks that wait for a worker.
    pub ready: u64,
    /// Tasks with a delay: retries and scheduled tasks.
    pub delayed: u64,
    /// Running tasks.
    pub active: u64,
    /// Tasks that have run for longer than the caller's limit.
    pub stuck: u64,
    /// Answers in the outbox.
    pub replies: u64,
    /// Age of the oldest answer in the outbox in ms; 0 without one.
    pub oldest_reply_ms: u64,
    /// Dead letters.
    pub dead: u64,
    /// Age of the oldest live task in ms; 0 without one.
    pub oldest_ms: u64,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Whether a running worker offers it.
    pub offered: bool,
    /// The limits that an operator has set.
    pub limits: TypeLimits,
    /// Counters since the keys were created: `submitted completed failed timeout cancelled retried lost stale dead
    /// duplicates rejected_full rejected_user delivered undeliverable`.
    pub counters: BTreeMap<String, u64>,
}

impl TaskQueue {
    /// Statistics of all task types. A task that has run for longer than `stuck_after` counts as stuck.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn stats(&self, stuck_after: Duration) -> Result<Vec<TypeStats>, RedisError> {
        let offered = self.offered_types().await?;
        let mut types: BTreeMap<TaskType, TypeStats> = BTreeMap::new();
        for lane in self.lanes().await? {
            let offered = offered.contains(lane.task_type());
            let stats = self.lane_stats(&lane, offered, stuck_after).await?;
            match types.entry(lane.task_type().clone()) {
                Entry::Vacant(first) => drop(first.insert(stats)),
                Entry::Occupied(mut sum) => sum.get_mut().add(stats),
            }
        }
        Ok(types.into_values().collect())
    }

    /// Waiting tasks of `task_type`: ready ones and those with a delay.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn queue_size(&self, task_type: &TaskType) -> Result<u64, RedisError> {
        let mut size = 0;
        for lane in self.lanes_of(std::slice::from_ref(task_type)) {
            let (ready, delayed): (u64, u64) = redis::pipe()
                .zcard(self.keys.queue(&lane))
                .zcard(self.keys.delayed(&lane))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("count the waiting tasks"))?;
            size += ready + delayed;
        }
        Ok(size)
    }

    async fn lane_stats(
        &self,
        lane: &Lane,
        offered: bool,
        stuck_after: Duration,
    ) -> Result<TypeStats, RedisError> {
        type Scored = Vec<(String, u64)>;
        type Switches = BTreeMap<String, String>;
        type Counts = (u64, u64, u64, u64, u64, u64, Scored, StreamRangeReply, Switches);
        let keys = &self.keys;
        let counts: Counts = redis::pipe()
            .zcard(keys.queue(lane))
            .zcard(keys.ahead(lane))
            .zcard(keys.delayed(lane))
            .zcard(keys.active(lane))
            .xlen(keys.replies(lane))
            .xlen(keys.dead(lane))
            .zrange_withscores(keys.deadline(lane), 0, 0)
            .xrange_count(keys.replies(lane), "-", "+", 1)
            .hgetall(keys.meta(lane))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("count a type's tasks"))?;
        let (queued, ahead, delayed, active, replies, dead, oldest, oldest_reply, meta) = counts;
        let now = self.now_ms(lane).await?;
        let running = self.live(lane, &keys.active(lane), now, MAX_RUNNING_CHECKED).await?;
        let long = millis(stuck_after);
        let stuck = running.iter().filter(|task| task.running_ms.is_some_and(|ms| long < ms));
        let submitted_at =
            |deadline: u64| deadline.saturating_sub(millis(self.config.time_to_live));
        let oldest_ms = oldest.first().map_or(0, |(_, at)| now.saturating_sub(submitted_at(*at)));
        let oldest_reply = oldest_reply.ids.first().map(|entry| entry_time(&entry.id).0);
        let counters = meta
            .iter()
            .filter(|(name, _)| !SWITCHES.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?)))
            .collect();
        Ok(TypeStats {
            ready: queued + ahead,
            delayed,
            active,
            stuck: stuck.count() as u64,
            replies,
            oldest_reply_ms: oldest_reply.map_or(0, |stored| now.saturating_sub(stored)),
            dead,
            oldest_ms,
            paused: meta.get("paused").is_some_and(|word| word == "1"),
            offered,
            limits: TypeLimits::read(&meta),
            counters,
            task_type: lane.task_type().clone(),
        })
    }
}

impl TypeStats {
    /// Adds the statistics of another lane of the same type.
    fn add(&mut self, other: Self) {
        self.ready += other.ready;
        self.delayed += other.delayed;
        self.active += other.active;
        self.stuck += other.stuck;
        self.replies += other.replies;
        self.oldest_reply_ms = self.oldest_reply_ms.max(other.oldest_reply_ms);
        self.dead += other.dead;
        self.oldest_ms = self.oldest_ms.max(other.oldest_ms);
        self.paused &= other.paused;
        self.limits.add(&other.limits);
        for (name, count) in other.counters {
            *self.counters.entry(name).or_default() += count;
        }
    }
}

/// Fields of `meta` that are not counters.
const SWITCHES: &[&str] = &[
    "paused",
    "max_active",
    "max_pending",
    "user_cap",
    "interval",
    "paced",
    "vtime",
    "alive",
    "grace",
    "not_before",
];
