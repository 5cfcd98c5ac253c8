//! Submits tasks and waits for results, or runs a worker until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::WaitError;
use crate::history::write_until;
use crate::submit::{confirm_until, ingress_until};
use crate::task::{Task, TaskResult};
use crate::work::handler::TaskHandler;
use crate::work::reclaim::sweep_until;
use crate::work::worker_loop::WorkerLoop;

/// Submits tasks and waits for their results, or runs a worker.
#[derive(Debug, Clone)]
pub struct DistributedWorkerRegistry {
    queue: TaskQueue,
}

impl DistributedWorkerRegistry {
    /// A registry on `queue`.
    pub fn new(queue: TaskQueue) -> Self {
        Self { queue }
    }

    /// Submits a task and waits for its result; none when there is none after `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError::Submit`] when the task was not accepted, else as [`TaskQueue::get_result`].
    pub async fn execute_task(
        &self,
        task: &Task,
        timeout: Duration,
    ) -> Result<Option<TaskResult>, WaitError> {
        self.queue.submit_and_wait(task, timeout).await
    }

    /// Runs up to `concurrency` tasks at a time until `shutdown`. Then it stops claiming, waits at most `drain` for running
    /// tasks, hands the others back without using an attempt, and returns. While Redis is down it keeps trying.
    ///
    /// `worker` is an id that no other process uses.
    ///
    /// # Examples
    ///
    /// A worker that answers `echo` tasks with their own params:
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use queue::{
    ///     DistributedWorkerRegistry, Finish, Handled, Lease, OfferedPlugin, QueueConfig, TaskHandler,
    ///     TaskQueue, TaskResult,
    /// };
    /// use tokio::sync::watch;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// struct Echo(watch::Sender<Vec<OfferedPlugin>>);
    ///
    /// impl TaskHandler for Echo {
    ///     async fn handle(&self, lease: &Lease, _cancelled: CancellationToken) -> Handled {
    ///         let result = TaskResult::success(lease.task.params.clone().into());
    ///         Handled::new(result, Finish::Done)
    ///     }
    ///
    ///     fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
    ///         self.0.subscribe()
    ///     }
    /// }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let echo = OfferedPlugin {
    ///     name: "echo".to_owned(),
    ///     version: "1.0.0".to_owned(),
    ///     digest: String::new(),
    ///     task_types: vec!["echo".parse()?],
    ///     commands: Vec::new(),
    /// };
    /// let handler = Arc::new(Echo(watch::Sender::new(vec![echo])));
    /// let queue = TaskQueue::connect("redis://127.0.0.1:6379", QueueConfig::default()).await?;
    /// let registry = DistributedWorkerRegistry::new(queue);
    /// let shutdown = CancellationToken::new();
    /// registry.process_tasks(handler, "worker-1", 4, Duration::from_secs(30), shutdown).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn process_tasks<H: TaskHandler>(
        &self,
        handler: Arc<H>,
        worker: &str,
        concurrency: usize,
        drain: Duration,
        shutdown: CancellationToken,
    ) {
        // These outlive the loop: leases are renewed and results stored while it drains.
        let background_stop = CancellationToken::new();
        let mut background = JoinSet::new();
        background.spawn(sweep_until(self.queue.clone(), background_stop.clone()));
        background.spawn(ingress_until(self.queue.clone(), background_stop.clone()));
        background.spawn(confirm_until(self.queue.clone(), background_stop.clone()));
        background.spawn(write_until(self.queue.clone(), background_stop.clone()));
        let mut worker_loop = WorkerLoop::new(self.queue.clone(), handler, worker, concurrency);
        worker_loop.run(drain, &shutdown).await;
        background_stop.cancel();
        background.join_all().await;
        self.queue.forget_worker(worker).await.ok(); // The record expires by itself.
    }
}
