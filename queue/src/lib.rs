//! Tasks on Redis: nothing accepted is lost, nothing is answered twice.
//!
//! Each task id is accepted once ([`TaskQueue::submit_task`]). A task is leased to one worker at a time, under a token
//! ([`TaskQueue::claim`]). One script ends it: in one step it stores the result, removes the task from every index, and
//! appends the answer to the outbox ([`TaskQueue::store_results`]). If a worker dies, its lease ends and the task runs
//! elsewhere ([`work::sweep`]). If a coordinator dies, another takes over its answers ([`Outbox`]).
//!
//! Not here: the meaning of a task (the host's plugins), and where its answer goes (the coordinator; `reply_to` is opaque).

pub mod admin;
mod client;
pub mod config;
pub mod error;
pub mod fleet;
pub mod history;
pub mod json;
pub mod outbox;
mod redis;
pub mod submit;
pub mod task;
pub mod work;

pub use self::redis::connection::Connection;
pub use self::redis::keys::Keys;
pub use self::redis::refusal::{RedisTrouble, Refusal};
pub use self::redis::scripts::{Script, unknown_reply};
pub use self::redis::time::millis;
pub use admin::{
    DeadLetter, LiveTask, NoRate, PluginChange, PluginEvent, Rate, STUCK_AFTER, TypeLimit,
    TypeLimits, TypeStats,
};
pub use client::task_queue::TaskQueue;
pub use config::{QueueConfig, Side};
pub use error::{ConnectError, RedisError, SubmitError, WaitError};
pub use outbox::{Delivered, DeliveryState, Outbox, Reply};
pub use submit::{Progress, Submitted};
pub use task::{
    Band, FAILED_REQUEST, FailureCode, Lane, SubmitOptions, Task, TaskId, TaskResult, TaskStatus,
    TaskType,
};
pub use work::{
    DistributedWorkerRegistry, Finish, Finished, Handled, Lease, OfferedPlugin, PluginFacts,
    TaskHandler, WORKER_GONE_AFTER, WorkerFacts, WorkerRecord,
};

/// Compiles the example in README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
