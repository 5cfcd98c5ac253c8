//! The worker's loop: claims tasks for free slots, renews leases, and drops a task before its lease ends.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::time::REDIS_RETRY_DELAY;
use crate::redis::wake_ups::WakeUps;
use crate::task::Lane;
use crate::task::{FailureCode, TaskResult, TaskType, now_ms};
use crate::work::claimer::{ClaimEvent, Claimer};
use crate::work::handler::{Handled, TaskHandler};
use crate::work::lease::{Finish, Lease, Renewal};
use crate::work::registry::{OfferedPlugin, WorkerRecord};
use crate::work::result_store::PendingResults;

const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(5);
/// Longest wait for a wake-up in one command. A plugin that appears meanwhile is included in the next wait.
const MAX_BLOCK: Duration = Duration::from_secs(1);
/// How long a stopping worker waits for a claim in progress.
const FINAL_CLAIM_TIMEOUT: Duration = Duration::from_millis(500);

struct Running {
    lease: Lease,
    cancelled: CancellationToken,
    /// Drops the handler's future, because the lease is lost.
    abandoned: CancellationToken,
    /// None until the task is spawned.
    run: Option<tokio::task::AbortHandle>,
}

pub(crate) struct WorkerLoop<H> {
    queue: TaskQueue,
    wake_ups: WakeUps,
    claimer: Claimer,
    handler: Arc<H>,
    plugins: watch::Receiver<Vec<OfferedPlugin>>,
    worker: String,
    concurrency: usize,
    started_at: u64,
    running: HashMap<String, Running>,
    tasks: JoinSet<()>,
    /// The task id and the token of each spawned future.
    ids: HashMap<tokio::task::Id, (String, String)>,
    finished: mpsc::Sender<(Lease, Handled)>,
    pending_results: PendingResults,
    rotation: usize,
}

impl<H: TaskHandler> WorkerLoop<H> {
    /// A loop that sends results to `finished`, and renews the leases of `pending_results`.
    pub(crate) fn new(
        queue: TaskQueue,
        handler: Arc<H>,
        worker: &str,
        concurrency: usize,
        finished: mpsc::Sender<(Lease, Handled)>,
        pending_results: PendingResults,
    ) -> Self {
        Self {
            wake_ups: WakeUps::new(&queue.server, &queue.keys),
            claimer: Claimer::start(queue.clone(), worker.to_owned()),
            queue,
            plugins: handler.plugins(),
            handler,
            worker: worker.to_owned(),
            concurrency: concurrency.max(1),
            started_at: now_ms(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            finished,
            pending_results,
            rotation: 0,
        }
    }

    /// Claims and runs tasks until `shutdown`, then drains for at most `drain`.
    pub(crate) async fn run(&mut self, drain: Duration, shutdown: &CancellationToken) {
        let mut renew = tokio::time::interval(self.queue.config.renew_every);
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut announce = tokio::time::interval(ANNOUNCE_INTERVAL);
        // Whether to claim without a wake-up: at the start, and after a slot became free.
        let mut claim_due = true;
        let mut retry_claim_at = None;
        while !shutdown.is_cancelled() {
            let lanes = self.offered_lanes();
            if claim_due && self.has_free_slot() && !lanes.is_empty() {
                let free_slots = self.concurrency.saturating_sub(self.used_slots());
                claim_due = !self.claimer.begin(&lanes, free_slots);
            }
            if self.has_free_slot() && !lanes.is_empty() {
                self.wake_ups.listen(&lanes, MAX_BLOCK);
            }
            // Every branch may be dropped: the channels, timers and the join set keep their state.
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(joined) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.remove_finished(joined);
                    claim_due = true;
                }
                _ = renew.tick() => self.renew(&mut renew).await,
                () = self.pending_results.lane_recovered() => claim_due = true,
                _ = announce.tick() => self.announce(),
                changed = self.plugins.changed() => {
                    claim_due = true;
                    if changed.is_ok() {
                        self.announce();
                    }
                }
                woken = self.wake_ups.next() => claim_due |= self.on_wake_up(woken),
                claimed = self.claimer.next() => match claimed {
                    ClaimEvent::Leases(leases) => {
                        leases.into_iter().for_each(|lease| self.start(lease));
                    }
                    ClaimEvent::Done { failed } => {
                        retry_claim_at = failed.then(|| Instant::now() + REDIS_RETRY_DELAY);
                    }
                },
                () = sleep_until(retry_claim_at) => {
                    retry_claim_at = None;
                    claim_due = true;
                }
            }
        }
        self.drain(drain, &mut renew).await;
    }

    fn has_free_slot(&self) -> bool {
        self.used_slots() < self.concurrency
    }

    /// Slots of running tasks, and of results that Redis does not accept.
    fn used_slots(&self) -> usize {
        self.tasks.len() + self.pending_results.occupied_slots()
    }

    /// Handles the end of a wait for wake-ups. Returns whether to claim.
    fn on_wake_up(&self, woken: Result<Option<Lane>, RedisError>) -> bool {
        match woken {
            Ok(None) => false,
            Ok(Some(lane)) => {
                if !self.has_free_slot() {
                    // Return the token for a worker with a free slot.
                    let queue = self.queue.clone();
                    // If this fails, the sweep adds a token.
                    tokio::spawn(async move { queue.wake(&lane).await.ok() });
                }
                true
            }
            Err(error) => {
                self.queue.note_trouble(None, "wait for tasks", &error.source);
                true
            }
        }
    }

    /// The lanes of the offered types. Each call starts with another lane, so that a busy one does not starve the others.
    fn offered_lanes(&mut self) -> Vec<Lane> {
        let types: BTreeSet<TaskType> = self
            .plugins
            .borrow()
            .iter()
            .flat_map(|plugin| plugin.task_types.iter().cloned())
            .collect();
        let mut lanes = self.queue.lanes_of(&types.into_iter().collect::<Vec<_>>());
        if !lanes.is_empty() {
            self.rotation = self.rotation.wrapping_add(1) % lanes.len();
            lanes.rotate_left(self.rotation);
        }
        lanes
    }

    fn start(&mut self, lease: Lease) {
        let id = lease.task.task_id.as_str().to_owned();
        let cancelled = CancellationToken::new();
        let abandoned = CancellationToken::new();
        let entry = Running {
            lease: lease.clone(),
            cancelled: cancelled.clone(),
            abandoned: abandoned.clone(),
            run: None,
        };
        if let Some(older) = self.running.insert(id.clone(), entry) {
            // We lost this lease while frozen, and claimed the task again: the older run is void.
            older.abandoned.cancel();
        }
        let token = lease.token.clone();
        let handler = Arc::clone(&self.handler);
        let finished = self.finished.clone();
        let pending_results = self.pending_results.clone();
        let spawned = self.tasks.spawn(async move {
            // An abandoned task's future is dropped here, with the plugin instance that it ran.
            tokio::select! {
                () = abandoned.cancelled() => {}
                handled = handler.handle(&lease, cancelled) => {
                    pending_results.add(&lease);
                    let _ = finished.send((lease, handled)).await; // Closed only after the worker ended.
                }
            }
        });
        if let Some(running) = self.running.get_mut(&id) {
            running.run = Some(spawned.clone());
        }
        self.ids.insert(spawned.id(), (id, token));
    }

    fn remove_finished(&mut self, joined: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let spawned = match joined {
            Ok((spawned, ())) => spawned,
            Err(error) => {
                // A panic in our own code. The lease is not renewed any more, and the task runs on another worker.
                tracing::error!(error = %error, "a task's handler panicked");
                error.id()
            }
        };
        let Some((id, token)) = self.ids.remove(&spawned) else { return };
        if self.running.get(&id).is_some_and(|running| running.lease.token == token) {
            self.running.remove(&id);
        }
    }

    async fn renew(&mut self, next: &mut Interval) {
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            self.remove_finished(joined);
        }
        let mut leases: Vec<Lease> =
            self.running.values().map(|running| running.lease.clone()).collect();
        leases.extend(self.pending_results.leases());
        if leases.is_empty() {
            return;
        }
        let sent_at = Instant::now();
        let renewals = self.queue.renew(&leases).await.unwrap_or_default();
        let all_renewed = renewals.len() == leases.len()
            && renewals.iter().all(|renewal| !matches!(renewal, None | Some(Renewal::Refused)));
        for (lease, renewal) in leases.iter().zip(renewals) {
            if let Some(renewal) = renewal {
                self.apply(lease, renewal, sent_at);
            }
        }
        if !all_renewed {
            // Soon, because the leases may end soon.
            next.reset_after(REDIS_RETRY_DELAY.min(self.queue.config.renew_every));
        }
        self.fence().await;
    }

    fn apply(&mut self, lease: &Lease, renewal: Renewal, sent_at: Instant) {
        let Some(running) = self.running.get_mut(lease.task.task_id.as_str()) else { return };
        if running.lease.token != lease.token {
            return;
        }
        match renewal {
            // If the server refuses all writes, no other worker can claim the task: the work goes on.
            Renewal::Renewed | Renewal::Refused => {}
            Renewal::CancelRequested => running.cancelled.cancel(),
            // Its result was stored while the renewal was in progress.
            Renewal::Lost
                if running.run.as_ref().is_some_and(tokio::task::AbortHandle::is_finished) =>
            {
                return;
            }
            Renewal::Lost => {
                tracing::warn!(task_id = %lease.task.task_id, "lease lost; the task is dropped here");
                running.abandoned.cancel();
                return;
            }
        }
        running.lease.ends_at = sent_at + self.queue.config.lease;
    }

    /// Drops tasks whose lease is about to end because Redis is silent: another worker may claim them. They are handed back as
    /// soon as Redis answers, in case no worker has claimed them.
    async fn fence(&mut self) {
        let soon = Instant::now() + self.queue.config.renew_every / 2;
        let mut dropped = Vec::new();
        for running in self.running.values() {
            if running.lease.ends_at <= soon && !running.abandoned.is_cancelled() {
                tracing::warn!(task_id = %running.lease.task.task_id, "lease cannot be renewed; the task is dropped here");
                running.abandoned.cancel();
                dropped.push(running.lease.clone());
            }
        }
        for lease in dropped {
            self.hand_back(lease).await;
        }
    }

    /// In the background: a slow Redis must not keep the loop from renewing leases.
    fn announce(&self) {
        let record = WorkerRecord {
            worker: self.worker.clone(),
            started_at: self.started_at,
            concurrency: self.concurrency,
            running: self.tasks.len(),
            plugins: self.plugins.borrow().clone(),
        };
        let queue = self.queue.clone();
        tokio::spawn(async move {
            if let Err(error) = queue.announce_worker(&record).await {
                queue.note_trouble(None, "announce this worker", &error.source);
            }
        });
    }

    /// Hands back the tasks of a claim that was in progress at the shutdown.
    async fn hand_back_final_claim(&mut self) {
        let until = Instant::now() + FINAL_CLAIM_TIMEOUT;
        while self.claimer.busy() {
            match tokio::time::timeout_at(until, self.claimer.next()).await {
                Ok(ClaimEvent::Leases(leases)) => {
                    for lease in leases {
                        self.hand_back(lease).await;
                    }
                }
                Ok(ClaimEvent::Done { .. }) => {}
                Err(_) => return,
            }
        }
    }

    async fn hand_back(&self, lease: Lease) {
        let result = TaskResult::failure(FailureCode::HostError, "the worker was stopped");
        let handled = Handled { result, finish: Finish::Requeue };
        self.pending_results.add(&lease);
        let _ = self.finished.send((lease, handled)).await; // The receiver lives until we are dropped.
    }

    async fn drain(&mut self, timeout: Duration, renew: &mut Interval) {
        let until = Instant::now() + timeout;
        self.hand_back_final_claim().await;
        if !self.tasks.is_empty() {
            tracing::info!(running = self.tasks.len(), "draining");
        }
        while !self.tasks.is_empty() && Instant::now() < until {
            // All branches keep their state when dropped.
            tokio::select! {
                Some(joined) = self.tasks.join_next_with_id() => self.remove_finished(joined),
                _ = renew.tick() => self.renew(renew).await,
                () = tokio::time::sleep_until(until) => {}
            }
        }
        for running in self.running.values() {
            running.abandoned.cancel();
        }
        let unfinished: Vec<Lease> =
            self.running.values().map(|running| running.lease.clone()).collect();
        while let Some(joined) = self.tasks.join_next_with_id().await {
            self.remove_finished(joined);
        }
        for lease in unfinished {
            self.hand_back(lease).await;
        }
    }
}

/// Returns at that time, or never.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
