//! One lane of a worker: stores what has finished and claims what there is room for, in one call where both are due.
//!
//! A lane is asked only for a reason: a wake-up came, its last reply said that more waits, its plugin is new, or an earlier
//! call failed. Lanes do not wait for each other: in a Cluster, one lane's node may be down.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::task::Lane;
use crate::work::demand::{Claimed, Demand};
use crate::work::handler::TaskHandler;
use crate::work::lane_call::{Called, call, store};
use crate::work::lane_state::{LaneState, Shared, Unstored, lock};
use crate::work::lease::Lease;
use crate::work::read_ahead::GIVE_BACK_AFTER;
use crate::work::room::{Permit, PermitWait};

/// Most results in one call, and most tasks that one call claims to start at once.
const AT_ONCE: usize = 128;
/// A second call goes out beside the first for so many results.
const SECOND_CALL_AT: usize = 32;
/// Pause after the first failed claim, and the longest: work goes on within 2 s of Redis being back.
const CLAIM_PAUSE: (Duration, Duration) =
    (Duration::from_millis(300), Duration::from_millis(1_500));

/// Starts a lane's loop.
pub(crate) fn start<H: TaskHandler>(
    shared: &Arc<Shared<H>>,
    lane: &Lane,
) -> (Arc<LaneState<H>>, JoinHandle<()>) {
    let state = Arc::new(LaneState::new(shared, lane));
    let looping = LaneLoop::new(Arc::clone(&state));
    (state, tokio::spawn(looping.run()))
}

struct LaneLoop<H> {
    state: Arc<LaneState<H>>,
    /// Each ends with what it asked for and the permits for it.
    calls: FuturesUnordered<BoxFuture<'static, (Demand, Vec<Permit>, Called)>>,
    /// For how many tasks to read ahead the calls ask.
    asked_ahead: usize,
    /// The last reply said that more waits.
    more: bool,
    /// No claim before this time: the last one failed.
    paused: Option<Instant>,
    /// The pause after the next failure.
    pause: Duration,
    /// The type's rate lets no task start before this time, unless a wake-up says that something has changed.
    next_start: Option<Instant>,
}

impl<H: TaskHandler> LaneLoop<H> {
    fn new(state: Arc<LaneState<H>>) -> Self {
        Self {
            state,
            calls: FuturesUnordered::new(),
            asked_ahead: 0,
            more: false,
            paused: None,
            pause: CLAIM_PAUSE.0,
            next_start: None,
        }
    }

    async fn run(mut self) {
        let state = Arc::clone(&self.state);
        let shared = Arc::clone(&state.shared);
        let mut permits: Vec<Permit> = Vec::new();
        let mut wait: Option<(bool, PermitWait)> = None;
        loop {
            // Before the results are taken: none comes after it.
            let closing = shared.closing.is_cancelled() && shared.running.is_empty();
            let serving = !shared.draining.is_cancelled() && state.offered.load(Ordering::Relaxed);
            if !serving {
                self.give_back_unstarted(Duration::ZERO);
            }
            self.start_unstarted(&mut permits);
            let may_call = self.may_call();
            let wanted = may_call && serving && self.is_wanted();
            if may_call {
                let results = take(&state.results, AT_ONCE);
                if !wanted {
                    permits.clear();
                } else if permits.len() < AT_ONCE {
                    permits.extend(shared.room.take(AT_ONCE - permits.len()));
                }
                if !results.is_empty() || !permits.is_empty() {
                    wait = None;
                    self.begin_call(results, std::mem::take(&mut permits), wanted);
                    continue;
                }
            }
            permits.clear();
            if closing && self.calls.is_empty() {
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
            let give_back_at = self.give_back_at();
            // Every branch keeps its state when it is dropped.
            tokio::select! {
                Some((demand, permits, called)) = self.calls.next() => self.end_call(demand, permits, called),
                () = state.changed.notified() => {}
                permit = async { match &mut wait { Some((_, wait)) => wait.await, None => std::future::pending().await } } => {
                    wait = None;
                    permits.extend(permit);
                }
                () = sleep_until(self.paused) => self.paused = None,
                () = sleep_until(self.next_start) => self.next_start = None,
                () = sleep_until(give_back_at) => self.give_back_unstarted(GIVE_BACK_AFTER),
                () = shared.draining.cancelled(), if !shared.draining.is_cancelled() => {}
                () = shared.closing.cancelled(), if !shared.closing.is_cancelled() => {}
                () = shared.running.wait(), if shared.closing.is_cancelled() && !closing => {}
            }
        }
    }

    /// A second call goes out beside the first for a batch of results: then Redis has work while we read a reply.
    fn may_call(&self) -> bool {
        match self.calls.len() {
            0 => true,
            1 => lock(&self.state.results).len() >= SECOND_CALL_AT,
            _ => false,
        }
    }

    /// Whether there is a reason to ask, and no reason not to.
    fn is_wanted(&self) -> bool {
        if self.paused.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let may_start = self.next_start.is_none_or(|at| at <= Instant::now());
        self.more && may_start || self.state.woken.load(Ordering::Relaxed)
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

    /// Sends results, and claims for the permits if `claims`.
    fn begin_call(&mut self, results: Vec<Unstored>, permits: Vec<Permit>, claims: bool) {
        let state = Arc::clone(&self.state);
        let shared = &state.shared;
        let demand = if claims {
            let held_ahead = lock(&state.ahead).len() + self.asked_ahead;
            let ahead = state.run_time.ahead(shared.concurrency).saturating_sub(held_ahead);
            Demand { room: permits.len(), ahead }
        } else {
            Demand::default()
        };
        if demand != Demand::default() {
            state.woken.store(false, Ordering::Relaxed);
            self.asked_ahead += demand.ahead;
        }
        let calling = call(state, results, demand).map(move |called| (demand, permits, called));
        self.calls.push(calling.boxed());
    }

    fn end_call(&mut self, demand: Demand, mut permits: Vec<Permit>, called: Called) {
        self.asked_ahead -= demand.ahead;
        match called {
            Called::Claimed(_) if demand == Demand::default() => {}
            Called::Claimed(claimed) => {
                self.pause = CLAIM_PAUSE.0;
                self.take_in(claimed, &mut permits);
                if !permits.is_empty() {
                    drop(permits);
                    self.state.shared.freed.notify_one();
                }
            }
            Called::ClaimFailed => {
                self.more = true;
                self.paused = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(CLAIM_PAUSE.1);
            }
            Called::Unstored(results, error) => {
                self.more |= demand != Demand::default();
                // The permits are for other lanes meanwhile.
                drop(permits);
                let storing = store(Arc::clone(&self.state), results, error);
                let nothing = |called| (Demand::default(), Vec::new(), called);
                self.calls.push(storing.map(nothing).boxed());
            }
            Called::Stored => {}
        }
    }

    fn take_in(&mut self, claimed: Claimed, permits: &mut Vec<Permit>) {
        let shared = &self.state.shared;
        self.more = claimed.more || claimed.next_start.is_some();
        self.next_start = claimed.next_start.map(|after| Instant::now() + after);
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
