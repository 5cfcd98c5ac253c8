//! Stores results in the background, in batches of those that are ready together.
//!
//! A result that Redis does not accept is kept until it does. Meanwhile its lease is renewed if possible, and it occupies a
//! task slot of the worker, so the number of kept results is limited.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::redis::refusal;
use crate::redis::time::REDIS_RETRY_DELAY;
use crate::task::Lane;
use crate::task::TaskResult;
use crate::work::handler::Handled;
use crate::work::lease::{Finish, Finished, Lease};

/// Most results that are stored in one script call.
pub(crate) const MAX_BATCH: usize = 128;

/// Results that are not stored yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingResults {
    shared: Arc<(Mutex<State>, Notify)>,
}

#[derive(Debug, Default)]
struct State {
    leases: HashMap<(String, String), Lease>,
    /// Lanes that do not accept results now.
    refusing: BTreeSet<Lane>,
}

impl PendingResults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(lease: &Lease) -> (String, String) {
        (lease.task.task_id.as_str().to_owned(), lease.token.clone())
    }

    /// Adds the lease of a result that waits.
    pub(crate) fn add(&self, lease: &Lease) {
        self.state().leases.insert(Self::key(lease), lease.clone());
    }

    fn remove<'a>(&self, lane: Option<&Lane>, leases: impl Iterator<Item = &'a Lease>) {
        let mut state = self.state();
        for lease in leases {
            state.leases.remove(&Self::key(lease));
        }
        let recovered = lane.is_some_and(|lane| state.refusing.remove(lane));
        drop(state);
        if recovered {
            self.shared.1.notify_one();
        }
    }

    fn mark_refusing(&self, lane: Option<&Lane>) {
        self.state().refusing.extend(lane.cloned());
    }

    /// The leases of all waiting results.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.state().leases.values().cloned().collect()
    }

    /// How many task slots the results occupy: none while all lanes accept results.
    pub(crate) fn occupied_slots(&self) -> usize {
        let state = self.state();
        if state.refusing.is_empty() { 0 } else { state.leases.len() }
    }

    /// Returns when a lane accepts results again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn lane_recovered(&self) {
        self.shared.1.notified().await;
    }
}

/// Stores results as they arrive, each lane in its own task: in a Cluster one lane's node may be down while others are up.
pub(crate) async fn store_until_closed(
    queue: TaskQueue,
    mut store: mpsc::Receiver<(Lease, Handled)>,
    pending: PendingResults,
) {
    let mut lanes: HashMap<Lane, mpsc::UnboundedSender<(Lease, Handled)>> = HashMap::new();
    let mut storing = JoinSet::new();
    while let Some((lease, handled)) = store.recv().await {
        let to = lanes.entry(lease.task.lane()).or_insert_with(|| {
            // Not without limit: what waits here occupies a task slot.
            let (sender, receiver) = mpsc::unbounded_channel();
            storing.spawn(store_lane(queue.clone(), receiver, pending.clone()));
            sender
        });
        let _ = to.send((lease, handled)); // Closed only when its task panicked; the lease ends then.
    }
    drop(lanes);
    storing.join_all().await;
}

async fn store_lane(
    queue: TaskQueue,
    mut store: mpsc::UnboundedReceiver<(Lease, Handled)>,
    pending: PendingResults,
) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while store.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let items: Vec<(Lease, Finish, TaskResult)> = batch
            .drain(..)
            .map(|(lease, handled)| (lease, handled.finish, handled.result))
            .collect();
        store_batch(&queue, &items, &pending).await;
    }
}

/// Tries until Redis accepts the batch, however long it refuses or is silent. After any other error the batch is dropped once
/// its leases have ended and other workers run the tasks.
async fn store_batch(
    queue: &TaskQueue,
    items: &[(Lease, Finish, TaskResult)],
    pending: &PendingResults,
) {
    let lane = items.first().map(|(lease, ..)| lease.task.lane());
    let give_up_at = Instant::now() + queue.config.lease.max(Duration::from_secs(1)) * 2;
    let leases = || items.iter().map(|(lease, ..)| lease);
    loop {
        match queue.store_results(items).await {
            Ok(finished) => {
                for ((lease, finish, _), finished) in items.iter().zip(finished) {
                    // The sweep may have taken a handed-back task already.
                    if finished == Finished::Stale && *finish != Finish::Requeue {
                        tracing::warn!(task_id = %lease.task.task_id, "result refused: another worker has the lease, or the task has ended");
                    }
                }
                pending.remove(lane.as_ref(), leases());
                return;
            }
            Err(error) => {
                pending.mark_refusing(lane.as_ref());
                queue.note_trouble(lane.as_ref(), "store results", &error.source);
                if !refusal::is_temporary(&error.source) && give_up_at <= Instant::now() {
                    tracing::error!(error = %error.source, "results dropped; their tasks run again");
                    pending.remove(lane.as_ref(), leases());
                    return;
                }
                tokio::time::sleep(REDIS_RETRY_DELAY).await;
            }
        }
    }
}
