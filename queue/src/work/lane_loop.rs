//! One lane of a worker: stores what has finished and claims what there is room for, in one call where both are due.
//!
//! A lane is asked only for a reason: a wake-up came, its last reply said that more waits, its plugin is new, or an earlier
//! call failed. Lanes do not wait for each other: in a Cluster, one lane's node may be down.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::RedisError;
use crate::redis::refusal;
use crate::redis::time::{REDIS_RETRY_DELAY, timed_out};
use crate::task::Lane;
use crate::work::demand::{Claimed, Demand};
use crate::work::finish::FinishItem;
use crate::work::handler::TaskHandler;
use crate::work::lane_state::{LaneState, Shared, Unstored, lock};
use crate::work::lease::{Finish, Finished, Lease};
use crate::work::read_ahead::GIVE_BACK_AFTER;
use crate::work::room::{Permit, PermitWait};

/// Most results in one call, and most tasks that one call claims to start at once.
const AT_ONCE: usize = 128;
/// In a Cluster a claim without an answer is given up after this long.
const CLAIM_AT_MOST: Duration = Duration::from_secs(1);
/// Pause after the first failed claim, and the longest: work goes on within 2 s of Redis being back.
const CLAIM_PAUSE: (Duration, Duration) =
    (Duration::from_millis(300), Duration::from_millis(1_500));

/// Starts a lane's loop.
pub(crate) fn start<H: TaskHandler>(
    shared: &Arc<Shared<H>>,
    lane: &Lane,
) -> (Arc<LaneState<H>>, JoinHandle<()>) {
    let state = Arc::new(LaneState::new(shared, lane));
    let looping =
        LaneLoop { state: Arc::clone(&state), more: false, paused: None, pause: CLAIM_PAUSE.0 };
    (state, tokio::spawn(looping.run()))
}

struct LaneLoop<H> {
    state: Arc<LaneState<H>>,
    /// The last reply said that more waits.
    more: bool,
    /// No claim before this time: the last one failed.
    paused: Option<Instant>,
    /// The pause after the next failure.
    pause: Duration,
}

impl<H: TaskHandler> LaneLoop<H> {
    async fn run(mut self) {
        let state = Arc::clone(&self.state);
        let shared = Arc::clone(&state.shared);
        let mut permits: Vec<Permit> = Vec::new();
        let mut wait: Option<(bool, PermitWait)> = None;
        loop {
            let serving = !shared.draining.is_cancelled() && state.offered.load(Ordering::Relaxed);
            if !serving {
                self.give_back_unstarted(Duration::ZERO);
            }
            self.start_unstarted(&mut permits);
            let results = take(&state.results, AT_ONCE);
            let wanted = serving && self.is_wanted();
            if wanted && permits.len() < AT_ONCE {
                permits.extend(shared.room.take(AT_ONCE - permits.len()));
            }
            if !results.is_empty() || wanted && !permits.is_empty() {
                wait = None;
                self.call(results, std::mem::take(&mut permits), wanted).await;
                continue;
            }
            permits.clear();
            if shared.closing.is_cancelled() && shared.running.is_empty() {
                return;
            }
            let in_line = wanted || serving && !lock(&state.ahead).is_empty();
            if !in_line {
                wait = None;
            } else {
                let has_none = state.runners.load(Ordering::Relaxed) == 0;
                if wait.as_ref().is_none_or(|(for_none, _)| *for_none != has_none) {
                    wait = Some((has_none, shared.room.wait(has_none)));
                }
            }
            // Every branch keeps its state when it is dropped.
            tokio::select! {
                () = state.changed.notified() => {}
                permit = async { match &mut wait { Some((_, wait)) => wait.await, None => std::future::pending().await } } => {
                    wait = None;
                    permits.extend(permit);
                }
                () = sleep_until(self.paused) => {}
                () = sleep_until(self.give_back_at()) => self.give_back_unstarted(GIVE_BACK_AFTER),
                () = shared.draining.cancelled(), if !shared.draining.is_cancelled() => {}
                () = shared.closing.cancelled(), if !shared.closing.is_cancelled() => {}
            }
        }
    }

    /// Whether there is a reason to ask, and no reason not to.
    fn is_wanted(&mut self) -> bool {
        if self.paused.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        self.paused = None;
        self.more || self.state.woken.load(Ordering::Relaxed)
    }

    /// Starts what was read ahead, where there is room for it.
    fn start_unstarted(&self, permits: &mut Vec<Permit>) {
        let mut ahead = lock(&self.state.ahead);
        while !ahead.is_empty() {
            let permit = permits.pop().or_else(|| self.state.shared.room.take(1).pop());
            let Some(permit) = permit else { return };
            let Some((lease, _)) = ahead.pop_front() else { return };
            self.spawn(permit, lease);
        }
    }

    fn spawn(&self, permit: Permit, lease: Arc<Lease>) {
        self.state.shared.running.spawn(Arc::clone(&self.state).run_tasks(permit, lease));
    }

    fn give_back_at(&self) -> Option<Instant> {
        lock(&self.state.ahead).front().map(|(_, since)| *since + GIVE_BACK_AFTER)
    }

    /// Gives back what has waited here for so long.
    fn give_back_unstarted(&self, waited: Duration) {
        let now = Instant::now();
        let old: Vec<Arc<Lease>> = {
            let mut ahead = lock(&self.state.ahead);
            let young = ahead.iter().position(|(_, since)| now < *since + waited);
            let old = young.unwrap_or(ahead.len());
            ahead.drain(..old).map(|(lease, _)| lease).collect()
        };
        for lease in old {
            if self.state.shared.held.finish(&lease) {
                self.state.give_back(lease);
            }
        }
    }

    /// Stores results, and claims for the permits if the lane is wanted.
    async fn call(&mut self, results: Vec<Unstored>, mut permits: Vec<Permit>, wanted: bool) {
        let state = Arc::clone(&self.state);
        let shared = &state.shared;
        let demand = if wanted {
            let held_ahead = lock(&state.ahead).len();
            let ahead = state.run_time.ahead(shared.concurrency).saturating_sub(held_ahead);
            Demand { room: permits.len(), ahead }
        } else {
            Demand::default()
        };
        let claims = demand != Demand::default();
        if claims {
            state.woken.store(false, Ordering::Relaxed);
        }
        let give_up = Instant::now() + shared.queue.config.lease.max(Duration::from_secs(1)) * 2;
        let claimed = if results.is_empty() {
            self.claim(demand).await
        } else {
            self.finish(&results, demand).await
        };
        match claimed {
            Ok(claimed) => {
                shared.held.remove(results.iter().map(|(lease, _)| &**lease));
                if claims {
                    self.pause = CLAIM_PAUSE.0;
                    self.take_in(claimed, &mut permits);
                }
            }
            Err(error) if results.is_empty() => {
                shared.queue.note_trouble(Some(&state.lane), "claim tasks", &error.source);
                self.more = true;
                self.paused = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(CLAIM_PAUSE.1);
            }
            Err(error) => {
                self.more |= claims;
                drop(permits);
                self.store_until_taken(&results, error, give_up).await;
            }
        }
    }

    fn take_in(&mut self, claimed: Claimed, permits: &mut Vec<Permit>) {
        let shared = &self.state.shared;
        self.more = claimed.more;
        let leases: Vec<Arc<Lease>> = claimed.leases.into_iter().map(Arc::new).collect();
        shared.held.insert(leases.iter().map(Arc::clone));
        if shared.draining.is_cancelled() {
            for lease in leases {
                if shared.held.finish(&lease) {
                    self.state.give_back(lease);
                }
            }
            return;
        }
        let now = Instant::now();
        for lease in leases {
            match permits.pop() {
                Some(permit) if !lease.read_ahead => self.spawn(permit, lease),
                permit => {
                    permits.extend(permit);
                    lock(&self.state.ahead).push_back((lease, now));
                }
            }
        }
    }

    async fn claim(&self, demand: Demand) -> Result<Claimed, RedisError> {
        let Shared { queue, worker, .. } = &*self.state.shared;
        let claiming = queue.claim_lane(&self.state.lane, worker, demand);
        if !queue.server.is_cluster() {
            return claiming.await;
        }
        // A claim that was given up and happened all the same is a lease that ends by itself.
        let answer = tokio::time::timeout(CLAIM_AT_MOST, claiming).await;
        answer.unwrap_or_else(|_| Err(RedisError { action: "claim tasks", source: timed_out() }))
    }

    async fn finish(&self, results: &[Unstored], demand: Demand) -> Result<Claimed, RedisError> {
        let Shared { queue, worker, .. } = &*self.state.shared;
        let items: Vec<FinishItem<'_>> = results
            .iter()
            .map(|(lease, handled)| FinishItem::by_holder(lease, handled.finish, &handled.result))
            .collect();
        let (replies, claimed) =
            queue.finish_and_claim(&self.state.lane, &items, worker, demand).await?;
        for ((lease, handled), reply) in results.iter().zip(replies) {
            let finished = reply.for_holder().map_err(RedisError::during("finish tasks"))?;
            // What is only given back may have been taken back before.
            if finished == Finished::Stale && handled.finish != Finish::Requeue {
                tracing::warn!(task_id = %lease.task.task_id, "result refused: the lease had passed on or the task had ended");
            }
        }
        Ok(claimed)
    }

    /// Tries until Redis takes the results or refuses them because the leases have passed on, however long it refuses or
    /// is silent. What fails for another reason is given up once its leases have ended and others will run the tasks.
    async fn store_until_taken(&self, results: &[Unstored], first: RedisError, give_up: Instant) {
        let Shared { queue, held, .. } = &*self.state.shared;
        let mut error = first;
        loop {
            queue.note_trouble(Some(&self.state.lane), "store results", &error.source);
            if !refusal::is_temporary(&error.source) && give_up <= Instant::now() {
                tracing::error!(error = %error.source, "results dropped; their tasks run again");
                break;
            }
            tokio::time::sleep(REDIS_RETRY_DELAY).await;
            match self.finish(results, Demand::default()).await {
                Ok(_) => break,
                Err(again) => error = again,
            }
        }
        held.remove(results.iter().map(|(lease, _)| &**lease));
    }
}

fn take<T>(from: &Mutex<Vec<T>>, most: usize) -> Vec<T> {
    let mut from = lock(from);
    let count = from.len().min(most);
    from.drain(..count).collect()
}

/// Returns at that time, or never.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
