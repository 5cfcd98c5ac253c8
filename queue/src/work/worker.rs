//! Submits tasks and waits for them, or runs a worker until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::WaitError;
use crate::submit::{confirm_until, ingress_until};
use crate::task::{Task, TaskResult};
use crate::work::handler::TaskHandler;
use crate::work::reclaim::sweep_until;
use crate::work::worker_loop::WorkerLoop;

/// Submits tasks and waits, or runs the loop of a worker.
#[derive(Debug, Clone)]
pub struct DistributedWorkerRegistry {
    queue: TaskQueue,
}

impl DistributedWorkerRegistry {
    /// A registry on `queue`.
    pub fn new(queue: TaskQueue) -> Self {
        Self { queue }
    }

    /// Submits a task and waits for its result; none when it is not there after `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError::Submit`] when it was not accepted, else as [`TaskQueue::get_result`].
    pub async fn execute_task(
        &self,
        task: &Task,
        timeout: Duration,
    ) -> Result<Option<TaskResult>, WaitError> {
        let submitted = self.queue.submit_task(task).await;
        submitted.map_err(|source| WaitError::Submit { task_id: task.task_id.clone(), source })?;
        self.queue.get_result(&task.task_id, timeout).await
    }

    /// Runs tasks until `shutdown`, then stops claiming, lets what runs finish for at most `drain`, hands the rest
    /// back without using an attempt, and returns. Trouble with Redis is outlived.
    pub async fn process_tasks<H: TaskHandler>(
        &self,
        handler: Arc<H>,
        worker: &str,
        concurrency: usize,
        drain: Duration,
        shutdown: CancellationToken,
    ) {
        // The helpers outlive the loop: leases are renewed and results stored while it drains.
        let helpers = CancellationToken::new();
        let mut background = JoinSet::new();
        background.spawn(sweep_until(self.queue.clone(), helpers.clone()));
        background.spawn(ingress_until(self.queue.clone(), helpers.clone()));
        background.spawn(confirm_until(self.queue.clone(), helpers.clone()));
        let mut worker_loop = WorkerLoop::new(self.queue.clone(), handler, worker, concurrency);
        worker_loop.run(drain, &shutdown).await;
        helpers.cancel();
        background.join_all().await;
        self.queue.forget_worker(worker).await.ok(); // The record expires by itself.
    }
}
