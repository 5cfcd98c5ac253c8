//! A worker's half: claim a task, keep its lease, finish it, try it again, take it back from a dead worker.

pub(crate) mod claim;
mod claimer;
pub(crate) mod finish;
pub(crate) mod lease;
mod reclaim;
pub(crate) mod registry;
mod result_store;
pub(crate) mod retry;
mod worker_loop;

pub use lease::{Finish, Finished, Lease, Renewal};
pub use reclaim::{Swept, sweep, sweep_until};
pub use registry::{DistributedWorkerRegistry, Handled, OfferedPlugin, TaskHandler, WorkerRecord};
pub use retry::retry_delay;
