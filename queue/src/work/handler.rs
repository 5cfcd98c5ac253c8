//! The interface between the worker's loop and what runs tasks.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::task::TaskResult;
use crate::work::facts::WorkerFacts;
use crate::work::lease::{Finish, Lease};
use crate::work::registry::OfferedPlugin;

/// What a handler returns for one task.
#[derive(Debug, Clone)]
pub struct Handled {
    /// The result to store.
    pub result: TaskResult,
    /// How the lease ends.
    pub finish: Finish,
    /// The last lines that the plugin wrote, for the history; none when it wrote nothing.
    pub log: Option<String>,
}

impl Handled {
    /// A result of something that writes no log.
    pub fn new(result: TaskResult, finish: Finish) -> Self {
        Self { result, finish, log: None }
    }
}

/// Runs tasks. The host implements it with WebAssembly plugins, tests with plain functions.
pub trait TaskHandler: Send + Sync + 'static {
    /// Runs one task. Called once per claimed task, for many tasks at a time, on the runtime's threads; it must not block
    /// them.
    ///
    /// The future is dropped when the lease is lost. `cancelled` fires when the task's cancellation is requested; the handler
    /// must then return within 2 s.
    fn handle(
        &self,
        lease: &Lease,
        cancelled: CancellationToken,
    ) -> impl Future<Output = Handled> + Send;

    /// The plugins that are offered now. The loop watches the value and claims for the new list after a change.
    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>>;

    /// What to tell people with the next heartbeat. Called every few seconds; it must not block.
    fn facts(&self) -> Option<WorkerFacts> {
        None
    }

    /// Called at each turn of the worker's loop, at least every few seconds, also while Redis does not answer and while the
    /// loop drains: a loop that calls it no more is stuck. It must not block.
    fn turned(&self) {}
}
