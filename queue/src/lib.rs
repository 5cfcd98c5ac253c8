//! Tasks on Redis: nothing accepted is lost, nothing is answered twice.
//!
//! A task is accepted once per id ([`TaskQueue::submit_task`]), leased to one worker at a time under a token
//! ([`TaskQueue::claim`]), and ended by one script that stores its result, takes it out of every index and puts its
//! answer into the outbox in one step ([`TaskQueue::store_results`]). A worker that dies loses its lease, and the
//! task runs elsewhere ([`reclaim`]). A coordinator that dies loses nothing: its answers are taken over
//! ([`Outbox`]).
//!
//! Not here: what a task means (the host's plugins) and where its answer goes (the coordinator); `reply_to` is opaque.

mod claim;
mod claimer;
pub mod command;
pub mod config;
pub mod connection;
pub mod control;
pub mod error;
mod finish;
pub mod ingress;
pub mod keys;
pub mod lane;
pub mod lease;
pub mod line;
pub mod outbox;
pub mod pieces;
pub mod plugin_events;
pub mod recent;
pub mod reclaim;
pub mod refusal;
pub mod registry;
mod replica;
pub mod retry;
mod scripts;
mod stored;
mod storing;
pub mod submit;
pub mod task;
pub mod task_queue;
mod wait;
mod waits;
mod wake;
mod worker_loop;

pub use command::{CommandArgument, OfferedCommand};
pub use config::{QueueConfig, Side};
pub use connection::Connection;
pub use control::{DeadLetter, LiveTask, TypeStats};
pub use error::{ConnectError, FAILURE_CODES, RedisError, SubmitError, WaitError};
pub use keys::Keys;
pub use lane::Lane;
pub use lease::{Finish, Finished, Lease};
pub use line::Progress;
pub use outbox::{Delivered, LedgerEntry, Outbox, Reply};
pub use plugin_events::{PluginChange, PluginEvent};
pub use refusal::Refusal;
pub use registry::{DistributedWorkerRegistry, Handled, OfferedPlugin, TaskHandler, WorkerRecord};
pub use scripts::Script;
pub use submit::{Band, SubmitOptions, Submitted};
pub use task::{Task, TaskId, TaskResult, TaskStatus, TaskType};
pub use task_queue::{TaskQueue, millis};
