//! The worker's side: claim a task, renew its lease, finish it, retry it, and reclaim tasks of dead workers.

mod cancel;
mod claim;
mod demand;
mod ending;
mod facts;
mod finish;
pub(crate) mod handler;
mod held;
mod lane_call;
mod lane_loop;
mod lane_state;
pub(crate) mod lease;
#[cfg(test)]
mod model;
mod read_ahead;
mod reclaim;
mod registry;
pub(crate) mod reply;
mod retry;
mod room;
mod unheld;
mod worker;
mod worker_loop;

pub use facts::{PluginFacts, WorkerFacts};
pub use handler::{Handled, TaskHandler};
pub use lease::{Finish, Finished, Lease, Renewal};
pub use reclaim::{Swept, sweep, sweep_until};
pub use registry::{OfferedPlugin, WORKER_GONE_AFTER, WorkerRecord};
pub use retry::retry_delay;
pub use worker::DistributedWorkerRegistry;
