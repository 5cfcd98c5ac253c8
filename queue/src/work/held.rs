//! The leases that a worker holds, from the claim until the result is stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::task::TaskId;
use crate::work::lease::{Lease, Renewal};

/// How a task is told to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    /// Somebody asked to cancel the task; its handler ends it.
    pub(crate) cancelled: CancellationToken,
    /// The lease is no longer ours; the handler's future is dropped.
    pub(crate) abandoned: CancellationToken,
}

#[derive(Debug)]
enum State {
    /// It waits here for room.
    Unstarted,
    Running(Signals),
    /// Its result waits to be stored.
    Finished,
}

#[derive(Debug)]
struct Held {
    lease: Arc<Lease>,
    /// When the lease ends unless it is renewed again.
    ends_at: Instant,
    /// It ran, or runs: its worker's death counts as a crash.
    has_started: bool,
    state: State,
}

/// All leases of one worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldLeases(Arc<Mutex<HashMap<TaskId, Held>>>);

/// A lease to renew.
#[derive(Debug, Clone)]
pub(crate) struct ToRenew {
    pub(crate) lease: Arc<Lease>,
    pub(crate) has_started: bool,
}

impl HeldLeases {
    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was claimed.
    pub(crate) fn insert(&self, leases: impl Iterator<Item = Arc<Lease>>) {
        let mut held = self.lock();
        for lease in leases {
            let id = lease.task.task_id.clone();
            let new = Held {
                ends_at: lease.ends_at,
                has_started: !lease.read_ahead,
                lease,
                state: State::Unstarted,
            };
            if let Some(Held { state: State::Running(signals), .. }) = held.insert(id, new) {
                // Our own task, taken from us while we were frozen and claimed again: the older run is void.
                signals.abandoned.cancel();
            }
        }
    }

    /// The task starts. None when its lease was lost or given back.
    pub(crate) fn start(&self, lease: &Lease) -> Option<Signals> {
        let mut held = self.lock();
        let held = of(&mut held, lease)?;
        if !matches!(held.state, State::Unstarted) {
            return None;
        }
        let signals = Signals::default();
        held.has_started = true;
        held.state = State::Running(signals.clone());
        Some(signals)
    }

    /// A result waits to be stored from now on. False when the lease was lost or given back meanwhile.
    pub(crate) fn finish(&self, lease: &Lease) -> bool {
        let mut held = self.lock();
        match of(&mut held, lease) {
            Some(held) if !matches!(held.state, State::Finished) => {
                held.state = State::Finished;
                true
            }
            _ => false,
        }
    }

    /// Lets go of leases.
    pub(crate) fn remove<'a>(&self, leases: impl Iterator<Item = &'a Lease>) {
        let mut held = self.lock();
        for lease in leases {
            if of(&mut held, lease).is_some() {
                held.remove(&lease.task.task_id);
            }
        }
    }

    /// Every lease that is held.
    pub(crate) fn to_renew(&self) -> Vec<ToRenew> {
        let held = self.lock();
        let all = held
            .values()
            .map(|held| ToRenew { lease: Arc::clone(&held.lease), has_started: held.has_started });
        all.collect()
    }

    /// Does what a renewal says. `until` is when the lease ends if it was renewed.
    pub(crate) fn apply(&self, lease: &Lease, renewal: Renewal, until: Instant) {
        let mut all = self.lock();
        let Some(held) = of(&mut all, lease) else { return };
        match renewal {
            // A server that refuses gives the lease to nobody: the work goes on, and is renewed or stored later.
            Renewal::Renewed | Renewal::Refused => held.ends_at = until,
            Renewal::CancelRequested => {
                held.ends_at = until;
                if let State::Running(signals) = &held.state {
                    signals.cancelled.cancel();
                }
            }
            Renewal::Lost => match &held.state {
                State::Running(signals) => {
                    tracing::warn!(task_id = %lease.task.task_id, "lease lost; task dropped");
                    signals.abandoned.cancel();
                    all.remove(&lease.task.task_id);
                }
                State::Unstarted => {
                    all.remove(&lease.task.task_id);
                }
                // Its result was stored while the renewal was under way, or will be refused.
                State::Finished => {}
            },
        }
    }

    /// Drops the tasks whose leases end within `margin`, and returns them: they are to be given back.
    pub(crate) fn drop_ending(&self, margin: Duration) -> Vec<Arc<Lease>> {
        let soon = Instant::now() + margin;
        self.drop_where(|held| held.ends_at <= soon)
    }

    /// Drops all tasks that run, and returns them: they are to be given back.
    pub(crate) fn drop_all(&self) -> Vec<Arc<Lease>> {
        self.drop_where(|_| true)
    }

    fn drop_where(&self, which: impl Fn(&Held) -> bool) -> Vec<Arc<Lease>> {
        let mut dropped = Vec::new();
        for held in self.lock().values_mut() {
            if matches!(held.state, State::Finished) || !which(held) {
                continue;
            }
            if let State::Running(signals) = &held.state {
                signals.abandoned.cancel();
            }
            held.state = State::Finished;
            dropped.push(Arc::clone(&held.lease));
        }
        dropped
    }

    /// How many tasks run.
    pub(crate) fn running(&self) -> usize {
        self.lock().values().filter(|held| matches!(held.state, State::Running(_))).count()
    }
}

/// The entry of this very lease, not of a later one for the same task.
fn of<'a>(held: &'a mut HashMap<TaskId, Held>, lease: &Lease) -> Option<&'a mut Held> {
    held.get_mut(&lease.task.task_id).filter(|held| held.lease.token == lease.token)
}
