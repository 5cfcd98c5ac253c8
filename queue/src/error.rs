//! What can go wrong with the queue. What can go wrong with a task is [`crate::FailureCode`].

use crate::task::{TaskId, TaskType};

/// Why a connection to Redis could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address does not parse.
    #[error(
        "the Redis address is not usable; it looks like `redis://[user:password@]host[:port][/db]`, \
         `redis-cluster://[user:password@]host[:port],host…` or \
         `redis-sentinel://[user:password@]host[:port],host…[/db]?master=NAME`, with TLS `rediss…://`"
    )]
    Address {
        /// What the parser said. Never contains the address, which may hold a password.
        source: redis::RedisError,
    },
    /// Nothing answers, or it refuses us.
    #[error("cannot reach Redis")]
    Unreachable {
        /// What the connection said.
        source: redis::RedisError,
    },
    /// The server is too old for the scripts.
    #[error("{name} {found} is too old: Redis 7.0 or newer is needed, or Valkey 7.2 or newer")]
    TooOld {
        /// What kind of server it is.
        name: &'static str,
        /// The version that answered.
        found: String,
    },
    /// The server may drop tasks when memory is short.
    #[error(
        "Redis may drop tasks when memory is short (maxmemory-policy is `{policy}`); to keep them, run \
         `redis-cli CONFIG SET maxmemory-policy noeviction` and set it in redis.conf"
    )]
    Evicts {
        /// The policy in force.
        policy: String,
    },
}

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Too much is waiting already.
    #[error("the queue of `{task_type}` is full: {pending} tasks are waiting")]
    QueueFull {
        /// The queue.
        task_type: TaskType,
        /// How many wait.
        pending: u64,
    },
    /// This person has too many tasks under way.
    #[error("this user has {live} `{task_type}` tasks under way already")]
    UserLimit {
        /// The queue.
        task_type: TaskType,
        /// How many are under way.
        live: u64,
    },
    /// In a Cluster the id must lie where its type lies.
    #[error(
        "in a Cluster the id of a `{task_type}` task begins with `{{{task_type}}}`; `{task_id}` does not"
    )]
    ForeignId {
        /// The id.
        task_id: TaskId,
        /// The type.
        task_type: TaskType,
    },
    /// The task is larger than the queue takes.
    #[error("the task has {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The task is not JSON. Cannot happen with a [`crate::Task`] that was read from JSON.
    #[error("the task cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// Redis did not take it, or its answer was lost. Submitting the same task again is safe.
    #[error("cannot submit the task")]
    Redis(#[source] redis::RedisError),
}

impl SubmitError {
    /// Whether the same submit may work later without anyone changing the task.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::QueueFull { .. } | Self::UserLimit { .. } | Self::Redis(_) => true,
            Self::ForeignId { .. } | Self::TooLarge { .. } | Self::Json(_) => false,
        }
    }
}

/// Why no answer to a wait.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// Redis cannot be asked.
    #[error("cannot wait for task `{task_id}`")]
    Redis {
        /// The task.
        task_id: TaskId,
        /// What the connection said.
        source: redis::RedisError,
    },
    /// What is stored is not a result.
    #[error("the stored result of task `{task_id}` is not valid JSON")]
    Json {
        /// The task.
        task_id: TaskId,
        /// Where it breaks.
        source: serde_json::Error,
    },
    /// Submitting failed; only [`crate::DistributedWorkerRegistry::execute_task`] says this.
    #[error("cannot execute task `{task_id}`")]
    Submit {
        /// The task.
        task_id: TaskId,
        /// Why.
        source: SubmitError,
    },
}

/// Redis did not do what was asked; nothing is known to have changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct RedisError {
    /// What was attempted.
    pub action: &'static str,
    /// What the connection said.
    #[source]
    pub source: redis::RedisError,
}

impl RedisError {
    pub(crate) fn during(action: &'static str) -> impl FnOnce(redis::RedisError) -> Self {
        move |source| Self { action, source }
    }
}
