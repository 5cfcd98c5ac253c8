//! Tasks on Redis: nothing accepted is lost, nothing is answered twice.
//!
//! A task is accepted once per id ([`TaskQueue::submit_task`]), leased to one worker at a time under a token
//! ([`TaskQueue::claim`]), and ended by one script that stores its result, takes it out of every index and puts its
//! answer into the outbox in one step ([`TaskQueue::store_results`]). A worker that dies loses its lease, and the
//! task runs elsewhere ([`work::sweep`]). A coordinator that dies loses nothing: its answers are taken over
//! ([`Outbox`]).
//!
//! Not here: what a task means (the host's plugins) and where its answer goes (the coordinator); `reply_to` is opaque.

pub mod admin;
mod client;
pub mod command;
pub mod config;
pub mod error;
pub mod json;
pub mod outbox;
mod redis;
pub mod submit;
pub mod task;
pub mod work;

pub use self::redis::connection::Connection;
pub use self::redis::keys::Keys;
pub use self::redis::refusal::Refusal;
pub use self::redis::scripts::{Script, unknown_reply};
pub use self::redis::time::millis;
pub use admin::{DeadLetter, LiveTask, PluginChange, PluginEvent, TypeStats};
pub use client::task_queue::TaskQueue;
pub use command::{CommandArgument, OfferedCommand};
pub use config::{QueueConfig, Side};
pub use error::{ConnectError, RedisError, SubmitError, WaitError};
pub use outbox::{Delivered, DeliveryState, Outbox, Reply};
pub use submit::{Progress, Submitted};
pub use task::{
    Band, FailureCode, Lane, SubmitOptions, Task, TaskId, TaskResult, TaskStatus, TaskType,
};
pub use work::{
    DistributedWorkerRegistry, Finish, Finished, Handled, Lease, OfferedPlugin, TaskHandler,
    WorkerRecord,
};

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
