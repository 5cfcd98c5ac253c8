//! The queue's limits and times.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::task::TaskType;

/// The namespace of keys when none is configured.
pub const DEFAULT_NAMESPACE: &str = "freefans";

/// One of the two programs that share a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Runs tasks.
    Worker,
    /// Submits tasks and shows their answers.
    Coordinator,
}

/// How the queue behaves. The defaults are what the product promises; tests shorten them.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The certificate (PEM) that the server's must be signed by, for `rediss://`; the system's without it.
    pub redis_ca: Option<Vec<u8>>,
    /// Types whose people are spread over so many lanes, because one Redis of a Cluster cannot carry them. Every process
    /// that submits must have the same: the lane is part of a task's id.
    pub partitions: BTreeMap<TaskType, u16>,
    /// First part of every key.
    pub namespace: String,
    /// Which program this is: [`TaskQueue::readiness`](crate::TaskQueue::readiness) looks for the rights that it needs.
    pub side: Option<Side>,
    /// How long a worker may hold a task without a sign of life. 6 s and a sweep each second: a killed worker's task
    /// runs again within 7 s.
    pub lease: Duration,
    /// How often leases are renewed. At most a third of `lease`, so that two lost renewals cost nothing.
    pub renew_every: Duration,
    /// How often expired leases and deadlines are looked for.
    pub sweep_every: Duration,
    /// How long a task may take from submit to answer, all attempts together.
    pub time_to_live: Duration,
    /// How long results and final statuses are kept.
    pub keep_results: Duration,
    /// How long the guard against a second submit and the delivery ledger are kept: longer than Telegram keeps an
    /// update (24 h).
    pub keep_ledger: Duration,
    /// Crashes of a worker under one task before the task is given up.
    pub max_crashes: u32,
    /// Tasks of one type that may wait.
    pub max_pending: u64,
    /// Tasks of one type that one user may have under way.
    pub user_cap: u64,
    /// Largest task as JSON, in bytes.
    pub max_task_bytes: usize,
    /// Dead letters kept per type.
    pub keep_dead: u64,
    /// When and how often a failed task is tried again.
    pub retry: RetryPolicy,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            redis_ca: None,
            partitions: BTreeMap::new(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            side: None,
            lease: Duration::from_secs(6),
            renew_every: Duration::from_secs(2),
            sweep_every: Duration::from_secs(1),
            time_to_live: Duration::from_secs(120),
            keep_results: Duration::from_secs(300),
            keep_ledger: Duration::from_secs(25 * 3600),
            max_crashes: 2,
            max_pending: 100_000,
            user_cap: 10,
            max_task_bytes: 256 * 1024,
            keep_dead: 10_000,
            retry: RetryPolicy::default(),
        }
    }
}

impl QueueConfig {
    /// So long without any sweep means that nobody reached Redis, or that it took no writes. 3 s: with less the sweep of
    /// one process on a busy machine would look like an outage, with more an outage could cost a lease unseen.
    pub(crate) fn outage(&self) -> Duration {
        (self.lease / 2).max(self.sweep_every * 3)
    }
}

/// Exponential backoff.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Wait after the first failure.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
    /// Failures after which a task is given up, the first included.
    pub max_failures: u32,
}

impl Default for RetryPolicy {
    /// 0.5 s doubling up to 30 s, four tries: within the deadline of 120 s, and short enough for a person who waits.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            max_failures: 4,
        }
    }
}
