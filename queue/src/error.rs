//! Errors of the queue. Failures of tasks are [`crate::FailureCode`].

use crate::task::{TaskId, TaskType};

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is invalid.
    #[error(
        "the Redis address is not usable; it looks like `redis://[user:password@]host[:port][/db]`, \
         `redis-cluster://[user:password@]host[:port],host…` or \
         `redis-sentinel://[user:password@]host[:port],host…[/db]?master=NAME`, with TLS `rediss…://`"
    )]
    Address {
        /// The parser's error. Never contains the address, which may hold a password.
        source: redis::RedisError,
    },
    /// The server does not answer, or refuses the connection.
    #[error("cannot reach Redis")]
    Unreachable {
        /// The connection's error.
        source: redis::RedisError,
    },
    /// The server is too old for the scripts.
    #[error("{name} {found} is too old: Redis 7.0 or newer is needed, or Valkey 7.2 or newer")]
    TooOld {
        /// The server's product.
        name: &'static str,
        /// The server's version.
        found: String,
    },
    /// The server may evict tasks when memory is short.
    #[error(
        "Redis may drop tasks when memory is short (maxmemory-policy is `{policy}`); to keep them, run \
         `redis-cli CONFIG SET maxmemory-policy noeviction` and set it in redis.conf"
    )]
    Evicts {
        /// The current policy.
        policy: String,
    },
}

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Too many tasks are waiting.
    #[error("the queue of `{task_type}` is full: {pending} tasks are waiting")]
    QueueFull {
        /// The task type.
        task_type: TaskType,
        /// Number of waiting tasks.
        pending: u64,
    },
    /// This user has too many live tasks.
    #[error("this user has {live} `{task_type}` tasks under way already")]
    UserLimit {
        /// The task type.
        task_type: TaskType,
        /// Number of live tasks.
        live: u64,
    },
    /// In a Cluster the id must begin with its lane.
    #[error(
        "in a Cluster the id of a `{task_type}` task begins with `{{{task_type}}}`; `{task_id}` does not"
    )]
    ForeignId {
        /// The id.
        task_id: TaskId,
        /// The type.
        task_type: TaskType,
    },
    /// The task is larger than the queue accepts.
    #[error("the task has {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The task cannot be written as JSON. Impossible for a [`crate::Task`] that was read from JSON.
    #[error("the task cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// Redis did not accept the task, or its reply was lost. Submitting the same task again is safe.
    #[error("cannot submit the task")]
    Redis(#[source] redis::RedisError),
}

impl SubmitError {
    /// Whether the same task may be accepted later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::QueueFull { .. } | Self::UserLimit { .. } | Self::Redis(_) => true,
            Self::ForeignId { .. } | Self::TooLarge { .. } | Self::Json(_) => false,
        }
    }
}

/// Why waiting for a result failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// Redis does not answer.
    #[error("cannot wait for task `{task_id}`")]
    Redis {
        /// The task.
        task_id: TaskId,
        /// The connection's error.
        source: redis::RedisError,
    },
    /// The stored result cannot be read.
    #[error("the stored result of task `{task_id}` is not valid JSON")]
    Json {
        /// The task.
        task_id: TaskId,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The submit failed; only from [`crate::DistributedWorkerRegistry::execute_task`].
    #[error("cannot execute task `{task_id}`")]
    Submit {
        /// The task.
        task_id: TaskId,
        /// The reason.
        source: SubmitError,
    },
}

/// A Redis operation failed. If the connection broke, it may have run.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct RedisError {
    /// The operation.
    pub action: &'static str,
    /// The error of the server or the connection.
    #[source]
    pub source: redis::RedisError,
}

impl RedisError {
    pub(crate) fn during(action: &'static str) -> impl FnOnce(redis::RedisError) -> Self {
        move |source| Self { action, source }
    }
}
