//! What runs tasks, as the worker's loop sees it.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::task::TaskResult;
use crate::work::lease::{Finish, Lease};
use crate::work::registry::OfferedPlugin;

/// What a handler gives back for one task.
#[derive(Debug, Clone)]
pub struct Handled {
    /// The result to store.
    pub result: TaskResult,
    /// How the lease ends.
    pub finish: Finish,
}

/// What runs tasks. The host implements it with WebAssembly; tests with a closure.
pub trait TaskHandler: Send + Sync + 'static {
    /// Runs one task. Called once per claimed task, many at a time, on the runtime's threads; it must not block them.
    ///
    /// The future is dropped when the lease is lost. `cancelled` fires when somebody asked to cancel the task; the
    /// handler then ends within 2 s.
    fn handle(
        &self,
        lease: &Lease,
        cancelled: CancellationToken,
    ) -> impl Future<Output = Handled> + Send;

    /// What is offered at the moment. Watched by the loop: a new value changes what is claimed next.
    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>>;
}
