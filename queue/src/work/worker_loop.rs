//! A worker's loop: keeps its leases, announces the worker, wakes the lanes that have work, and drains at the end.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::time::{REDIS_RETRY_DELAY, from_now};
use crate::redis::wake_ups::WakeUps;
use crate::task::{Lane, TaskType, now_ms};
use crate::work::facts::WorkerFacts;
use crate::work::handler::TaskHandler;
use crate::work::held::HeldLeases;
use crate::work::lane_loop;
use crate::work::lane_state::{LaneState, Shared};
use crate::work::lease::{Lease, Renewal};
use crate::work::registry::{OfferedPlugin, WorkerRecord};
use crate::work::room::Room;

const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(5);
/// One wait for a wake-up. A lane that is new is waited for after it.
const MAX_BLOCK: Duration = Duration::from_secs(1);
/// How long the last results may take to be stored.
const FINAL_RESULTS_TIMEOUT: Duration = Duration::from_secs(10);

/// A lane that this worker serves, or served.
struct Served<H> {
    state: Arc<LaneState<H>>,
    task: JoinHandle<()>,
}

impl<H> Drop for Served<H> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) struct WorkerLoop<H> {
    shared: Arc<Shared<H>>,
    wake_ups: WakeUps,
    plugins: watch::Receiver<Vec<OfferedPlugin>>,
    /// All lanes of the queue: a partition may be new.
    listed: watch::Receiver<Vec<Lane>>,
    lanes: HashMap<Lane, Served<H>>,
    started_at: u64,
    /// Whether an operator wants that this worker takes no tasks.
    drained: watch::Sender<bool>,
}

impl<H> Drop for WorkerLoop<H> {
    fn drop(&mut self) {
        // What still runs is dropped as well, when the loop ends before its drain is over.
        self.shared.held.drop_all();
    }
}

impl<H: TaskHandler> WorkerLoop<H> {
    pub(crate) fn new(queue: TaskQueue, handler: Arc<H>, worker: &str, concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            wake_ups: WakeUps::new(&queue.server, &queue.keys),
            plugins: handler.plugins(),
            listed: queue.watch_lanes(),
            shared: Arc::new(Shared {
                queue,
                handler,
                worker: worker.to_owned(),
                concurrency,
                held: HeldLeases::default(),
                room: Room::new(concurrency),
                freed: Notify::new(),
                running: TaskTracker::new(),
                draining: CancellationToken::new(),
                closing: CancellationToken::new(),
            }),
            lanes: HashMap::new(),
            started_at: now_ms(),
            drained: watch::Sender::new(false),
        }
    }

    /// Claims and runs until `shutdown`, then drains for at most `drain`, and returns when the last result is stored.
    pub(crate) async fn run(&mut self, drain: Duration, shutdown: &CancellationToken) {
        let mut renew = tokio::time::interval(self.shared.queue.config.renew_every);
        renew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut announce = tokio::time::interval(ANNOUNCE_INTERVAL);
        let mut drained = self.drained.subscribe();
        self.serve_offered();
        while !shutdown.is_cancelled() {
            self.shared.handler.turned();
            self.wait_for_wake_ups();
            // Every branch is safe to lose: the streams and timers keep their state.
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = renew.tick() => self.renew(&mut renew).await,
                _ = announce.tick() => self.announce(),
                changed = self.plugins.changed() => if changed.is_ok() {
                    self.serve_offered();
                    self.announce();
                },
                changed = self.listed.changed() => if changed.is_ok() {
                    self.serve_offered();
                },
                changed = drained.changed() => if changed.is_ok() {
                    tracing::info!(drained = *drained.borrow(), "an operator has drained this worker, or ended that");
                    self.serve_offered();
                    self.announce();
                },
                woken = self.wake_ups.next() => self.wake(woken),
                () = self.shared.freed.notified() => {}
            }
        }
        self.drain(drain, &mut renew).await;
    }

    /// Serves the lanes of all offered types, and no others; none while it is drained.
    fn serve_offered(&mut self) {
        let drained = *self.drained.borrow();
        let types: BTreeSet<TaskType> = self
            .plugins
            .borrow_and_update()
            .iter()
            .filter(|_| !drained)
            .flat_map(|plugin| plugin.task_types.iter().cloned())
            .collect();
        let lanes = self.shared.queue.lanes_of(&types.into_iter().collect::<Vec<_>>());
        for (lane, served) in &self.lanes {
            served.state.set_offered(lanes.contains(lane));
        }
        for lane in lanes {
            self.lanes.entry(lane).or_insert_with_key(|lane| {
                let (state, task) = lane_loop::start(&self.shared, lane);
                Served { state, task }
            });
        }
    }

    /// Waits for wake-ups, unless there is no room for a task soon: they are for workers that have room.
    fn wait_for_wake_ups(&mut self) {
        if self.has_room_soon() {
            let offered = self.lanes.iter().filter(|(_, served)| served.state.is_offered());
            let mut offered: Vec<Lane> = offered.map(|(lane, _)| lane.clone()).collect();
            offered.sort_unstable();
            self.wake_ups.listen(&offered, MAX_BLOCK);
        }
    }

    fn has_room_soon(&self) -> bool {
        !self.shared.room.is_full() || self.lanes.values().all(|served| served.state.is_fast())
    }

    fn wake(&self, woken: Result<Option<Lane>, RedisError>) {
        match woken {
            Ok(None) => {}
            Ok(Some(lane)) => {
                if let Some(served) = self.lanes.get(&lane) {
                    served.state.wake();
                }
                if !self.has_room_soon() {
                    // The token was meant for a worker with room.
                    let queue = self.shared.queue.clone();
                    // The sweep makes up for one that fails.
                    tokio::spawn(async move { queue.wake(&lane).await.ok() });
                }
            }
            Err(error) => {
                self.shared.queue.note_trouble(None, "wait for tasks", &error.source);
                self.lanes.values().for_each(|served| served.state.wake());
            }
        }
    }

    async fn renew(&self, next: &mut Interval) {
        let Shared { queue, held, .. } = &*self.shared;
        let leases = held.to_renew();
        if leases.is_empty() {
            return;
        }
        let sent_at = Instant::now();
        let asked: Vec<(&Lease, bool)> =
            leases.iter().map(|renew| (&*renew.lease, renew.has_started)).collect();
        let renewals = queue.renew_started(&asked).await.unwrap_or_default();
        let all = renewals.len() == leases.len()
            && renewals.iter().all(|renewal| !matches!(renewal, None | Some(Renewal::Refused)));
        for (renew, renewal) in leases.iter().zip(renewals) {
            if let Some(renewal) = renewal {
                held.apply(&renew.lease, renewal, sent_at + queue.config.lease);
            }
        }
        if !all {
            // Soon: little may be left of the leases.
            next.reset_after(REDIS_RETRY_DELAY.min(queue.config.renew_every));
        }
        // What may run elsewhere soon is dropped: Redis is silent. It is given back as soon as Redis answers.
        for lease in held.drop_ending(queue.config.renew_every / 2) {
            tracing::warn!(task_id = %lease.task.task_id, "lease cannot be renewed; task dropped");
            self.give_back(lease);
        }
    }

    fn give_back(&self, lease: Arc<Lease>) {
        if let Some(served) = self.lanes.get(&lease.task.lane()) {
            served.state.give_back(lease);
        }
    }

    /// Beside the loop: a slow Redis must not keep leases from being renewed.
    fn announce(&self) {
        let record = WorkerRecord {
            worker: self.shared.worker.clone(),
            started_at: self.started_at,
            concurrency: self.shared.concurrency,
            running: self.shared.held.running(),
            plugins: self.plugins.borrow().clone(),
            drained: *self.drained.borrow(),
            facts: self.shared.handler.facts().map(WorkerFacts::bounded),
        };
        let queue = self.shared.queue.clone();
        let drained = self.drained.clone();
        tokio::spawn(async move {
            match queue.is_drained(&record.worker).await {
                Ok(now) => drop(drained.send_if_modified(|was| std::mem::replace(was, now) != now)),
                Err(error) => tracing::debug!(error = %error.source, "{}", error.action),
            }
            if let Err(error) = queue.announce_worker(&record).await {
                queue.note_trouble(None, "announce this worker", &error.source);
            }
        });
    }

    async fn drain(&mut self, at_most: Duration, renew: &mut Interval) {
        let shared = Arc::clone(&self.shared);
        let until = from_now(at_most);
        shared.draining.cancel();
        shared.running.close();
        let running = shared.running.len();
        if running > 0 {
            tracing::info!(running, "draining");
        }
        while !shared.running.is_empty() && Instant::now() < until {
            shared.handler.turned();
            // All branches keep their state when lost.
            tokio::select! {
                () = shared.running.wait() => {}
                _ = renew.tick() => self.renew(renew).await,
                () = tokio::time::sleep_until(until) => {}
            }
        }
        for lease in shared.held.drop_all() {
            self.give_back(lease);
        }
        shared.closing.cancel();
        let stored = async {
            for served in self.lanes.values_mut() {
                let _ = (&mut served.task).await; // A panic was logged by the runtime.
            }
        };
        let last = Instant::now() + FINAL_RESULTS_TIMEOUT;
        if tokio::time::timeout_at(last, stored).await.is_err() {
            tracing::error!(
                "results could not be stored before the end; their tasks will run again"
            );
        }
    }
}
