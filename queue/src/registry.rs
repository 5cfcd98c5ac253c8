//! Workers: who is alive and what they offer, and the loop that runs their tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{RedisError, WaitError};
use crate::ingress::drain_ingress;
use crate::lease::{Finish, Finished, Lease, Renewal};
use crate::reclaim::sweep_until;
use crate::task::{Task, TaskResult, TaskType, now_ms};
use crate::task_queue::{TaskQueue, Waiter, millis};

/// A worker that has not been heard of for this long is gone.
const SILENT_AFTER: Duration = Duration::from_secs(15);
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// Pause after trouble with Redis, so that a dead server does not make a busy loop.
const AFTER_TROUBLE: Duration = Duration::from_millis(300);
/// Results stored in one script call.
const STORE_AT_ONCE: usize = 128;

/// One plugin of a worker, as the registry shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub digest: String,
    /// What it handles.
    pub task_types: Vec<TaskType>,
}

/// What a worker says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Its id, unique per process.
    pub worker: String,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// How many tasks it runs at once.
    pub concurrency: usize,
    /// How many it runs now.
    pub running: usize,
    /// What it can do.
    pub plugins: Vec<OfferedPlugin>,
}

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
    /// back without using an attempt, and returns.
    ///
    /// # Errors
    ///
    /// When the connection to wait on cannot be opened at the start. Later trouble with Redis is outlived.
    pub async fn process_tasks<H: TaskHandler>(
        &self,
        handler: Arc<H>,
        worker: &str,
        concurrency: usize,
        drain: Duration,
        shutdown: CancellationToken,
    ) -> Result<(), RedisError> {
        let concurrency = concurrency.max(1);
        let (finished, store) = mpsc::channel(concurrency + STORE_AT_ONCE);
        // The helpers outlive the loop: leases are renewed and results stored while it drains.
        let helpers = CancellationToken::new();
        let mut background = JoinSet::new();
        background.spawn(sweep_until(self.queue.clone(), helpers.clone()));
        background.spawn(ingress_until(self.queue.clone(), helpers.clone()));
        let storing = tokio::spawn(store_until_closed(self.queue.clone(), store));
        let mut worker_loop = WorkerLoop {
            queue: self.queue.clone(),
            waiter: Waiter::connect(&self.queue).await?,
            plugins: handler.plugins(),
            handler,
            worker: worker.to_owned(),
            concurrency,
            started_at: now_ms(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            finished,
            turn: 0,
        };
        worker_loop.run(drain, &shutdown).await;
        drop(worker_loop);
        helpers.cancel();
        // The channel is closed now; this ends when the last result is stored or Redis stays away.
        if tokio::time::timeout(Duration::from_secs(10), storing).await.is_err() {
            tracing::error!(
                "results could not be stored before the end; their tasks will run again"
            );
        }
        background.join_all().await;
        self.queue.forget_worker(worker).await.ok(); // The record expires by itself.
        Ok(())
    }
}

struct Running {
    lease: Lease,
    cancelled: CancellationToken,
    /// Drops the handler's future: the lease is no longer ours.
    abandoned: CancellationToken,
}

struct WorkerLoop<H> {
    queue: TaskQueue,
    waiter: Waiter,
    handler: Arc<H>,
    plugins: watch::Receiver<Vec<OfferedPlugin>>,
    worker: String,
    concurrency: usize,
    started_at: u64,
    running: HashMap<String, Running>,
    tasks: JoinSet<String>,
    finished: mpsc::Sender<(Lease, Handled)>,
    turn: usize,
}

impl<H: TaskHandler> WorkerLoop<H> {
    async fn run(&mut self, drain: Duration, shutdown: &CancellationToken) {
        let mut renew = tokio::time::interval(self.queue.config.renew_every);
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut announce = tokio::time::interval(ANNOUNCE_EVERY);
        while !shutdown.is_cancelled() {
            let types = self.offered_types();
            let room = self.concurrency.saturating_sub(self.tasks.len());
            let mut claimed = 0;
            if 0 < room && !types.is_empty() {
                match self.queue.claim(&types, &self.worker, room).await {
                    Ok(leases) => {
                        claimed = leases.len();
                        leases.into_iter().for_each(|lease| self.start(lease));
                    }
                    Err(error) => {
                        tracing::warn!(error = %error.source, "cannot claim tasks; trying again");
                        tokio::time::sleep(AFTER_TROUBLE).await;
                    }
                }
            }
            let has_room = self.tasks.len() < self.concurrency && !types.is_empty();
            if 0 < claimed && has_room {
                // There may be more; look before waiting. The timers get their turn below.
                self.turn_timers(&mut renew, &mut announce).await;
                continue;
            }
            // Every branch is safe to lose: a wake-up token lost with a dropped wait is replaced by the sweep, and
            // the timers and the join set keep their state.
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(joined) = self.tasks.join_next(), if !self.tasks.is_empty() => self.forget(joined),
                _ = renew.tick() => self.renew().await,
                _ = announce.tick() => self.announce().await,
                changed = self.plugins.changed() => if changed.is_ok() { self.announce().await },
                waited = self.waiter.wait(&types, Duration::from_secs(2)), if has_room => {
                    if let Err(error) = waited {
                        tracing::warn!(error = %error.source, "cannot wait for tasks; trying again");
                        tokio::time::sleep(AFTER_TROUBLE).await;
                    }
                }
            }
        }
        self.drain(drain, &mut renew).await;
    }

    /// Gives due timers their turn without waiting.
    async fn turn_timers(
        &mut self,
        renew: &mut tokio::time::Interval,
        announce: &mut tokio::time::Interval,
    ) {
        while let Some(joined) = self.tasks.try_join_next() {
            self.forget(joined);
        }
        // Losing a branch loses nothing: `ready` is only there so that the others are not waited for.
        tokio::select! {
            biased;
            _ = renew.tick() => self.renew().await,
            _ = announce.tick() => self.announce().await,
            () = std::future::ready(()) => {}
        }
    }

    /// The offered types, beginning with another one each time so that a busy type does not starve the rest.
    fn offered_types(&mut self) -> Vec<TaskType> {
        let types: BTreeSet<TaskType> = self
            .plugins
            .borrow()
            .iter()
            .flat_map(|plugin| plugin.task_types.iter().cloned())
            .collect();
        let mut types: Vec<TaskType> = types.into_iter().collect();
        if !types.is_empty() {
            self.turn = self.turn.wrapping_add(1) % types.len();
            types.rotate_left(self.turn);
        }
        types
    }

    fn start(&mut self, lease: Lease) {
        let id = lease.task.task_id.as_str().to_owned();
        let (cancelled, abandoned) = (CancellationToken::new(), CancellationToken::new());
        let entry = Running {
            lease: lease.clone(),
            cancelled: cancelled.clone(),
            abandoned: abandoned.clone(),
        };
        self.running.insert(id.clone(), entry);
        let (handler, finished) = (Arc::clone(&self.handler), self.finished.clone());
        self.tasks.spawn(async move {
            // An abandoned task's future is dropped here, and with it whatever it ran.
            tokio::select! {
                () = abandoned.cancelled() => {}
                handled = handler.handle(&lease, cancelled) => {
                    let _ = finished.send((lease, handled)).await; // Closed only when the worker is gone.
                }
            }
            id
        });
    }

    fn forget(&mut self, joined: Result<String, tokio::task::JoinError>) {
        match joined {
            Ok(id) => {
                self.running.remove(&id);
            }
            Err(error) => {
                // A panic in our own code. The lease is renewed no more and ends by itself.
                tracing::error!(error = %error, "a task's handler panicked");
                let now = Instant::now();
                self.running.retain(|_, running| now < running.lease.ends_at);
            }
        }
    }

    async fn renew(&mut self) {
        while let Some(joined) = self.tasks.try_join_next() {
            self.forget(joined);
        }
        if self.running.is_empty() {
            return;
        }
        let leases: Vec<Lease> =
            self.running.values().map(|running| running.lease.clone()).collect();
        let sent_at = Instant::now();
        // Bounded, so that a frozen Redis cannot keep us from seeing that our leases have ended.
        let bound = self.queue.config.renew_every;
        match tokio::time::timeout(bound, self.queue.renew(&leases)).await {
            Ok(Ok(renewals)) => {
                for (lease, renewal) in leases.iter().zip(renewals) {
                    self.apply(lease, renewal, sent_at);
                }
            }
            Ok(Err(error)) => tracing::warn!(error = %error.source, "cannot renew leases"),
            Err(_) => tracing::warn!("cannot renew leases: Redis does not answer"),
        }
        self.fence();
    }

    fn apply(&mut self, lease: &Lease, renewal: Renewal, sent_at: Instant) {
        let Some(running) = self.running.get_mut(lease.task.task_id.as_str()) else { return };
        match renewal {
            Renewal::Renewed => {}
            Renewal::CancelRequested => running.cancelled.cancel(),
            Renewal::Lost => {
                tracing::warn!(task_id = %lease.task.task_id, "lease lost; the task is dropped here");
                running.abandoned.cancel();
                return;
            }
        }
        running.lease.ends_at = sent_at + self.queue.config.lease;
    }

    /// Drops what may run elsewhere by now: the lease ended before it could be renewed.
    fn fence(&self) {
        let soon = Instant::now() + self.queue.config.renew_every / 2;
        for running in self.running.values() {
            if running.lease.ends_at <= soon && !running.abandoned.is_cancelled() {
                tracing::warn!(task_id = %running.lease.task.task_id, "lease cannot be renewed; the task is dropped here");
                running.abandoned.cancel();
            }
        }
    }

    async fn announce(&self) {
        let record = WorkerRecord {
            worker: self.worker.clone(),
            started_at: self.started_at,
            concurrency: self.concurrency,
            running: self.tasks.len(),
            plugins: self.plugins.borrow().clone(),
        };
        if let Err(error) = self.queue.announce_worker(&record).await {
            tracing::warn!(error = %error.source, "cannot announce this worker");
        }
    }

    async fn drain(&mut self, at_most: Duration, renew: &mut tokio::time::Interval) {
        let until = Instant::now() + at_most;
        if !self.tasks.is_empty() {
            tracing::info!(running = self.tasks.len(), "draining");
        }
        while !self.tasks.is_empty() && Instant::now() < until {
            // Both branches keep their state when lost.
            tokio::select! {
                Some(joined) = self.tasks.join_next() => self.forget(joined),
                _ = renew.tick() => self.renew().await,
                () = tokio::time::sleep_until(until) => {}
            }
        }
        for running in self.running.values() {
            running.abandoned.cancel();
        }
        let left: Vec<Lease> = self.running.values().map(|running| running.lease.clone()).collect();
        while let Some(joined) = self.tasks.join_next().await {
            self.forget(joined);
        }
        for lease in left {
            let result = TaskResult::failure("host-error", "the worker was stopped");
            let handled = Handled { result, finish: Finish::Requeue };
            let _ = self.finished.send((lease, handled)).await; // The receiver lives until we are dropped.
        }
    }
}

/// Stores results as they come, several in one call.
async fn store_until_closed(queue: TaskQueue, mut store: mpsc::Receiver<(Lease, Handled)>) {
    let mut batch = Vec::with_capacity(STORE_AT_ONCE);
    while 0 < store.recv_many(&mut batch, STORE_AT_ONCE).await {
        let items: Vec<(Lease, Finish, TaskResult)> = batch
            .drain(..)
            .map(|(lease, handled)| (lease, handled.finish, handled.result))
            .collect();
        store_batch(&queue, &items).await;
    }
}

/// Tries until Redis takes the batch or all its leases have ended, when others will have run the tasks.
async fn store_batch(queue: &TaskQueue, items: &[(Lease, Finish, TaskResult)]) {
    let give_up = Instant::now() + queue.config.lease.max(Duration::from_secs(1)) * 2;
    loop {
        match queue.store_results(items).await {
            Ok(finished) => {
                for ((lease, _, _), finished) in items.iter().zip(finished) {
                    if finished == Finished::Stale {
                        tracing::warn!(task_id = %lease.task.task_id, "result refused: the lease had passed on or the task had ended");
                    }
                }
                return;
            }
            Err(error) if Instant::now() < give_up => {
                tracing::warn!(error = %error.source, "cannot store results; trying again");
                tokio::time::sleep(AFTER_TROUBLE).await;
            }
            Err(error) => {
                tracing::error!(error = %error.source, "results dropped; their tasks run again");
                return;
            }
        }
    }
}

async fn ingress_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        // Losing a branch loses nothing: entries stay on the list.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(queue.config.sweep_every) => {}
        }
        if let Err(error) = drain_ingress(&queue).await {
            tracing::debug!(error = %error.source, "cannot read the ingress list");
        }
    }
}

impl TaskQueue {
    /// Says that a worker is alive and what it offers.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn announce_worker(&self, record: &WorkerRecord) -> Result<(), RedisError> {
        for task_type in record.plugins.iter().flat_map(|plugin| &plugin.task_types) {
            self.remember_type(task_type).await.map_err(RedisError::during("announce a worker"))?;
        }
        let json = serde_json::to_string(record).unwrap_or_default();
        let () = redis::pipe()
            .cmd("SET")
            .arg(self.keys.worker(&record.worker))
            .arg(json)
            .arg("PX")
            .arg(millis(SILENT_AFTER))
            .ignore()
            .zadd(self.keys.workers(), &record.worker, now_ms())
            .ignore()
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("announce a worker"))?;
        Ok(())
    }

    async fn forget_worker(&self, worker: &str) -> Result<(), RedisError> {
        let () = redis::pipe()
            .del(self.keys.worker(worker))
            .ignore()
            .zrem(self.keys.workers(), worker)
            .ignore()
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("sign a worker off"))?;
        Ok(())
    }

    /// The workers that are alive.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, RedisError> {
        let during = RedisError::during;
        let mut connection = self.connection.clone();
        let names: Vec<String> = redis::cmd("ZRANGE")
            .arg(self.keys.workers())
            .arg(0)
            .arg(-1)
            .query_async(&mut connection)
            .await
            .map_err(during("list the workers"))?;
        let mut workers = Vec::new();
        for name in names {
            let json: Option<Vec<u8>> = redis::cmd("GET")
                .arg(self.keys.worker(&name))
                .query_async(&mut connection)
                .await
                .map_err(during("read a worker's record"))?;
            match json.map(|json| serde_json::from_slice(&json)) {
                Some(Ok(record)) => workers.push(record),
                Some(Err(_)) | None => {
                    let () = redis::cmd("ZREM")
                        .arg(self.keys.workers())
                        .arg(&name)
                        .query_async(&mut connection)
                        .await
                        .map_err(during("forget a silent worker"))?;
                }
            }
        }
        Ok(workers)
    }

    /// The task types that some living worker offers.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn offered_types(&self) -> Result<BTreeSet<TaskType>, RedisError> {
        let workers = self.workers().await?;
        Ok(workers
            .into_iter()
            .flat_map(|worker| worker.plugins)
            .flat_map(|plugin| plugin.task_types)
            .collect())
    }
}
