//! A worker's loop: claim what there is room for, keep the leases, let go in time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::time::RETRY_PAUSE;
use crate::redis::wake_ups::WakeUps;
use crate::task::Lane;
use crate::task::{FailureCode, TaskResult, TaskType, now_ms};
use crate::work::claimer::{Claimed, Claimer};
use crate::work::handler::{Handled, TaskHandler};
use crate::work::lease::{Finish, Lease, Renewal};
use crate::work::registry::{OfferedPlugin, WorkerRecord};
use crate::work::result_store::Unstored;

const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// One wait for a wake-up; a plugin that came in between is waited for after it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a stopping worker waits for a claim that is under way.
const LAST_CLAIM: Duration = Duration::from_millis(500);

struct Running {
    lease: Lease,
    cancelled: CancellationToken,
    /// Drops the handler's future: the lease is no longer ours.
    abandoned: CancellationToken,
    /// None until it is spawned.
    run: Option<tokio::task::AbortHandle>,
}

pub(crate) struct WorkerLoop<H> {
    queue: TaskQueue,
    wakes: WakeUps,
    claimer: Claimer,
    handler: Arc<H>,
    plugins: watch::Receiver<Vec<OfferedPlugin>>,
    worker: String,
    concurrency: usize,
    started_at: u64,
    running: HashMap<String, Running>,
    tasks: JoinSet<()>,
    /// Which task each spawned future runs, and under which token.
    ids: HashMap<tokio::task::Id, (String, String)>,
    finished: mpsc::Sender<(Lease, Handled)>,
    unstored: Unstored,
    turn: usize,
}

impl<H: TaskHandler> WorkerLoop<H> {
    /// A loop that hands results to `finished`, and looks after the leases of those that are `unstored`.
    pub(crate) fn new(
        queue: TaskQueue,
        handler: Arc<H>,
        worker: &str,
        concurrency: usize,
        finished: mpsc::Sender<(Lease, Handled)>,
        unstored: Unstored,
    ) -> Self {
        Self {
            wakes: WakeUps::new(&queue.server, &queue.keys),
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
            unstored,
            turn: 0,
        }
    }

    /// Claims and runs until `shutdown`, then drains for at most `drain`.
    pub(crate) async fn run(&mut self, drain: Duration, shutdown: &CancellationToken) {
        let mut renew = tokio::time::interval(self.queue.config.renew_every);
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut announce = tokio::time::interval(ANNOUNCE_EVERY);
        // Whether there may be work that no wake-up was for: at the start, and when room has become free.
        let mut look = true;
        let mut look_again_at = None;
        while !shutdown.is_cancelled() {
            let lanes = self.offered_lanes();
            if look && self.has_room() && !lanes.is_empty() {
                let room = self.concurrency.saturating_sub(self.busy());
                look = !self.claimer.ask(&lanes, room);
            }
            if self.has_room() && !lanes.is_empty() {
                self.wakes.ask(&lanes, LONGEST_WAIT);
            }
            // Every branch is safe to lose: the streams, timers and the join set keep their state.
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(joined) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.forget(joined);
                    look = true;
                }
                _ = renew.tick() => self.renew(&mut renew).await,
                () = self.unstored.less() => look = true,
                _ = announce.tick() => self.announce(),
                changed = self.plugins.changed() => {
                    look = true;
                    if changed.is_ok() {
                        self.announce();
                    }
                }
                woken = self.wakes.woken() => look |= self.wake(woken),
                claimed = self.claimer.next() => match claimed {
                    Claimed::Leases(leases) => {
                        leases.into_iter().for_each(|lease| self.start(lease));
                    }
                    Claimed::Done { trouble } => {
                        look_again_at = trouble.then(|| Instant::now() + RETRY_PAUSE);
                    }
                },
                () = sleep_until(look_again_at) => {
                    look_again_at = None;
                    look = true;
                }
            }
        }
        self.drain(drain, &mut renew).await;
    }

    fn has_room(&self) -> bool {
        self.busy() < self.concurrency
    }

    /// Tasks that run, and results that Redis does not take.
    fn busy(&self) -> usize {
        self.tasks.len() + self.unstored.in_the_way()
    }

    /// Whether a wake-up means that there may be work for us.
    fn wake(&self, woken: Result<Option<Lane>, RedisError>) -> bool {
        match woken {
            Ok(None) => false,
            Ok(Some(lane)) => {
                if !self.has_room() {
                    // The token was meant for somebody with room.
                    let queue = self.queue.clone();
                    // The sweep makes up for one that fails.
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

    /// The lanes of the offered types, beginning with another one each time so that a busy one does not starve the rest.
    fn offered_lanes(&mut self) -> Vec<Lane> {
        let types: BTreeSet<TaskType> = self
            .plugins
            .borrow()
            .iter()
            .flat_map(|plugin| plugin.task_types.iter().cloned())
            .collect();
        let mut lanes = self.queue.lanes_of(&types.into_iter().collect::<Vec<_>>());
        if !lanes.is_empty() {
            self.turn = self.turn.wrapping_add(1) % lanes.len();
            lanes.rotate_left(self.turn);
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
            // Our own, taken from us while we were frozen, and claimed again: the older run is nobody's any more.
            older.abandoned.cancel();
        }
        let token = lease.token.clone();
        let handler = Arc::clone(&self.handler);
        let finished = self.finished.clone();
        let unstored = self.unstored.clone();
        let spawned = self.tasks.spawn(async move {
            // An abandoned task's future is dropped here, and with it whatever it ran.
            tokio::select! {
                () = abandoned.cancelled() => {}
                handled = handler.handle(&lease, cancelled) => {
                    unstored.add(&lease);
                    let _ = finished.send((lease, handled)).await; // Closed only when the worker is gone.
                }
            }
        });
        if let Some(running) = self.running.get_mut(&id) {
            running.run = Some(spawned.clone());
        }
        self.ids.insert(spawned.id(), (id, token));
    }

    fn forget(&mut self, joined: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let spawned = match joined {
            Ok((spawned, ())) => spawned,
            Err(error) => {
                // A panic in our own code. The lease is renewed no more: it ends, and the task runs elsewhere.
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
            self.forget(joined);
        }
        let mut leases: Vec<Lease> =
            self.running.values().map(|running| running.lease.clone()).collect();
        leases.extend(self.unstored.leases());
        if leases.is_empty() {
            return;
        }
        let sent_at = Instant::now();
        let renewals = self.queue.renew(&leases).await.unwrap_or_default();
        let all = renewals.len() == leases.len()
            && renewals.iter().all(|renewal| !matches!(renewal, None | Some(Renewal::Refused)));
        for (lease, renewal) in leases.iter().zip(renewals) {
            if let Some(renewal) = renewal {
                self.apply(lease, renewal, sent_at);
            }
        }
        if !all {
            // Soon: what is left of the leases may be short.
            next.reset_after(RETRY_PAUSE.min(self.queue.config.renew_every));
        }
        self.fence().await;
    }

    fn apply(&mut self, lease: &Lease, renewal: Renewal, sent_at: Instant) {
        let Some(running) = self.running.get_mut(lease.task.task_id.as_str()) else { return };
        if running.lease.token != lease.token {
            return;
        }
        match renewal {
            // Nobody gets what the server gives to nobody: the work goes on, and is renewed or stored later.
            Renewal::Renewed | Renewal::Refused => {}
            Renewal::CancelRequested => running.cancelled.cancel(),
            // Its result was stored while it was asked about.
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

    /// Drops what may run elsewhere by now: the lease ended before it could be renewed, for Redis is silent. Nobody may
    /// have it all the same, so it is handed back as soon as Redis answers.
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

    /// Beside the loop: a slow Redis must not keep leases from being renewed.
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

    /// Sends back what a claim brings that was under way when the worker was stopped.
    async fn hand_back_the_last_claim(&mut self) {
        let until = Instant::now() + LAST_CLAIM;
        while self.claimer.busy() {
            match tokio::time::timeout_at(until, self.claimer.next()).await {
                Ok(Claimed::Leases(leases)) => {
                    for lease in leases {
                        self.hand_back(lease).await;
                    }
                }
                Ok(Claimed::Done { .. }) => {}
                Err(_) => return,
            }
        }
    }

    async fn hand_back(&self, lease: Lease) {
        let result = TaskResult::failure(FailureCode::HostError, "the worker was stopped");
        let handled = Handled { result, finish: Finish::Requeue };
        self.unstored.add(&lease);
        let _ = self.finished.send((lease, handled)).await; // The receiver lives until we are dropped.
    }

    async fn drain(&mut self, at_most: Duration, renew: &mut Interval) {
        let until = Instant::now() + at_most;
        self.hand_back_the_last_claim().await;
        if !self.tasks.is_empty() {
            tracing::info!(running = self.tasks.len(), "draining");
        }
        while !self.tasks.is_empty() && Instant::now() < until {
            // Both branches keep their state when lost.
            tokio::select! {
                Some(joined) = self.tasks.join_next_with_id() => self.forget(joined),
                _ = renew.tick() => self.renew(renew).await,
                () = tokio::time::sleep_until(until) => {}
            }
        }
        for running in self.running.values() {
            running.abandoned.cancel();
        }
        let left: Vec<Lease> = self.running.values().map(|running| running.lease.clone()).collect();
        while let Some(joined) = self.tasks.join_next_with_id().await {
            self.forget(joined);
        }
        for lease in left {
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
