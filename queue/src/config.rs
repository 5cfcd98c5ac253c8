//! The queue's limits and times.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::HistorySettings;
use crate::task::TaskType;

/// The namespace of keys when none is configured.
pub const DEFAULT_NAMESPACE: &str = "freefans";

/// One of the two programs that use a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Runs tasks.
    Worker,
    /// Submits tasks and delivers their answers.
    Coordinator,
}

/// Limits and times of the queue. The defaults are those of the product; tests use shorter times.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The certificate (PEM) that must have signed the server's, for `rediss://`; without it, those of the system.
    pub redis_ca: Option<Vec<u8>>,
    /// Numbers of partitions of task types that are too much for one node of a Cluster. The same in every process that
    /// submits, because the lane is part of a task's id.
    pub partitions: BTreeMap<TaskType, u16>,
    /// First part of every key.
    pub namespace: String,
    /// Which program this is: [`TaskQueue::readiness`](crate::TaskQueue::readiness) checks the permissions that it needs.
    pub side: Option<Side>,
    /// How long a worker may hold a task without a renewal. With 6 s and a sweep every second, a killed worker's task runs
    /// again within 7 s.
    pub lease: Duration,
    /// How often leases are renewed. At most a third of `lease`, so that two lost renewals do no harm.
    pub renew_every: Duration,
    /// How often the sweep looks for expired leases and deadlines.
    pub sweep_every: Duration,
    /// Longest time from the submit to the result, all attempts together.
    pub time_to_live: Duration,
    /// How long results and final statuses are kept.
    pub keep_results: Duration,
    /// How long a task's id is rejected when it is submitted again, and its delivery state is kept: longer than Telegram keeps
    /// an update (24 h).
    pub keep_ledger: Duration,
    /// How many workers may die while running a task before it fails.
    pub max_crashes: u32,
    /// Most waiting tasks of one lane.
    pub max_pending: u64,
    /// Most live tasks of one user in one lane.
    pub user_cap: u64,
    /// Largest task as JSON, in bytes.
    pub max_task_bytes: usize,
    /// About how many dead letters are kept per lane.
    pub keep_dead: u64,
    /// When and how often a failed task is retried.
    pub retry: RetryPolicy,
    /// What is kept of finished tasks; none to keep nothing ([`crate::history`]).
    pub history: Option<HistorySettings>,
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
            history: None,
        }
    }
}

impl QueueConfig {
    /// So long without a sweep means that no process reached Redis, or that it refused writes. 3 s: a shorter time would take a
    /// late sweep on a busy machine for an outage, and a longer one would miss an outage that ends a lease.
    pub(crate) fn outage(&self) -> Duration {
        (self.lease / 2).max(self.sweep_every * 3)
    }
}

/// Retries with exponential backoff.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Delay after the first failure.
    pub first: Duration,
    /// Longest delay.
    pub longest: Duration,
    /// Number of failures after which the task fails for good.
    pub max_failures: u32,
}

impl Default for RetryPolicy {
    /// 0.5 s, doubled up to 30 s, and four attempts: within the deadline of 120 s, and short enough for a person who waits.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            max_failures: 4,
        }
    }
}
