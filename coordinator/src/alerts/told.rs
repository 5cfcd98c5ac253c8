//! What was told, and which coordinator tells.
//!
//! Both are in Redis, written so that a full server takes them. Where Redis refuses them or is away, the coordinator that told last
//! goes on alone with what it remembers, and writes it when Redis takes it again.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{Refusal, TaskQueue, millis};
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use crate::keys::CoordinatorKeys;
use crate::redis_lease::RedisLease;

/// How long a silent coordinator keeps telling and a shared problem counts, in looks, and at least.
const LEASE_LOOKS: u32 = 3;
const LEASE_AT_LEAST: Duration = Duration::from_secs(15);

/// Something that was told and is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// When, in ms since 1970.
    #[serde(default)]
    pub(super) at: u64,
    /// What was wrong, in HTML.
    #[serde(default)]
    pub(super) html: String,
}

/// What was told.
#[derive(Debug)]
pub(super) struct ToldStore {
    queue: TaskQueue,
    lease: RedisLease,
    key: String,
    update_problem: String,
    shared_for: Duration,
    /// Whether the problem with updates in Redis may be this coordinator's.
    sharing: bool,
    /// Whether this coordinator tells.
    leading: bool,
    /// As far as this coordinator knows.
    told: BTreeMap<String, Told>,
    /// Changes that Redis has not taken.
    unwritten: BTreeMap<String, Option<Told>>,
}

impl ToldStore {
    pub(super) fn new(queue: TaskQueue, bot_id: u64, me: &str, look_every: Duration) -> Self {
        let bot = bot_id.to_string();
        let lasts = LEASE_AT_LEAST.max(look_every * LEASE_LOOKS);
        let lease = RedisLease::new(queue.clone(), queue.keys().alerts_lease(&bot), me, lasts);
        Self {
            key: queue.keys().alerts_told(&bot),
            update_problem: queue.keys().update_problem(&bot),
            shared_for: lasts,
            sharing: false,
            lease,
            queue,
            leading: false,
            told: BTreeMap::new(),
            unwritten: BTreeMap::new(),
        }
    }

    /// Whether this coordinator tells now.
    pub(super) async fn leads(&mut self) -> bool {
        match self.lease.hold().await {
            Ok(held) => {
                // Another one tells from now on; it learns from Redis what this one has told alone.
                self.write().await;
                self.leading = held;
            }
            // Nobody can take the lease now: whoever had it goes on.
            Err(error) => {
                if Refusal::of(&error).is_none() {
                    tracing::debug!(error = %error, "the lease of the messages to administrators is not known");
                }
            }
        }
        self.leading
    }

    pub(super) async fn release(&self) {
        if self.leading {
            self.lease.release().await;
        }
    }

    /// What was told and is not over. An entry that cannot be read counts as told, so that it is not told again.
    pub(super) async fn told(&mut self) -> BTreeMap<String, Told> {
        let stored: redis::RedisResult<BTreeMap<String, Vec<u8>>> =
            redis::cmd("HGETALL").arg(&self.key).query_async(&mut self.queue.connection()).await;
        match stored {
            Ok(stored) => {
                let read = |(cause, json): (String, Vec<u8>)| {
                    (cause, serde_json::from_slice(&json).unwrap_or_default())
                };
                self.told = stored.into_iter().map(read).collect();
                for (cause, told) in &self.unwritten {
                    match told {
                        Some(told) => drop(self.told.insert(cause.clone(), told.clone())),
                        None => drop(self.told.remove(cause)),
                    }
                }
            }
            Err(error) => tracing::debug!(error = %error, "what was told is not known"),
        }
        self.told.clone()
    }

    /// Notes that a condition is told now.
    pub(super) async fn note(&mut self, condition: &Condition) {
        let told = Told { at: queue::task::now_ms(), html: condition.html.clone() };
        self.told.insert(condition.cause.clone(), told.clone());
        self.unwritten.insert(condition.cause.clone(), Some(told));
        self.write().await;
    }

    /// Notes that a cause is over, and returns what was told.
    pub(super) async fn forget(&mut self, cause: &str) -> Option<Told> {
        let told = self.told.remove(cause);
        self.unwritten.insert(cause.to_owned(), None);
        self.write().await;
        told
    }

    /// Writes what Redis has not taken yet.
    async fn write(&mut self) {
        for (cause, told) in std::mem::take(&mut self.unwritten) {
            let written: redis::RedisResult<()> = match &told {
                Some(told) => {
                    let json = serde_json::to_string(told).unwrap_or_default();
                    self.queue.write_even_when_full("HSET", &self.key, (&cause, json)).await
                }
                None => self.queue.write_even_when_full("HDEL", &self.key, &cause).await,
            };
            if let Err(error) = written {
                tracing::debug!(cause, error = %error, "what was told is not stored yet");
                self.unwritten.insert(cause, told);
            }
        }
    }

    /// Tells the other coordinators why no updates arrive here, or that they arrive again.
    pub(super) async fn share_update_problem(&mut self, problem: Option<&str>) {
        let key = &self.update_problem;
        let shared: redis::RedisResult<()> = match problem {
            Some(problem) => {
                let value = (problem, "PX", millis(self.shared_for));
                self.queue.write_even_when_full("SET", key, value).await
            }
            // Where another coordinator has it too, its next look says so again.
            None if self.sharing => {
                redis::cmd("DEL").arg(key).query_async(&mut self.queue.connection()).await
            }
            None => return,
        };
        match shared {
            Ok(()) => self.sharing = problem.is_some(),
            Err(error) => {
                tracing::debug!(error = %error, "the problem with updates is not shared");
            }
        }
    }

    /// Why no updates arrive at some coordinator.
    pub(super) async fn update_problem(&self) -> Option<String> {
        let read: redis::RedisResult<Option<Vec<u8>>> = redis::cmd("GET")
            .arg(&self.update_problem)
            .query_async(&mut self.queue.connection())
            .await;
        read.ok().flatten().map(|text| String::from_utf8_lossy(&text).into_owned())
    }
}
