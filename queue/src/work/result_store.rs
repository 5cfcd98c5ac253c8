//! Stores results beside the worker's loop, as many in one call as have come together.
//!
//! A result that Redis does not take is kept until it does. Its lease is renewed meanwhile where that is possible, and it
//! takes the place of a task, so that no more is kept than the worker runs at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::redis::refusal;
use crate::redis::time::RETRY_PAUSE;
use crate::task::Lane;
use crate::task::TaskResult;
use crate::work::handler::Handled;
use crate::work::lease::{Finish, Finished, Lease};

/// Results stored in one script call.
pub(crate) const STORE_AT_ONCE: usize = 128;

/// Results that are not stored yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unstored {
    shared: Arc<(Mutex<State>, Notify)>,
}

#[derive(Debug, Default)]
struct State {
    leases: HashMap<(String, String), Lease>,
    /// Lanes that do not take results at the moment.
    refusing: BTreeSet<Lane>,
}

impl Unstored {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(lease: &Lease) -> (String, String) {
        (lease.task.task_id.as_str().to_owned(), lease.token.clone())
    }

    /// A result waits from now on.
    pub(crate) fn add(&self, lease: &Lease) {
        self.state().leases.insert(Self::name(lease), lease.clone());
    }

    fn remove<'a>(&self, lane: Option<&Lane>, leases: impl Iterator<Item = &'a Lease>) {
        let mut state = self.state();
        for lease in leases {
            state.leases.remove(&Self::name(lease));
        }
        let over = lane.is_some_and(|lane| state.refusing.remove(lane));
        drop(state);
        if over {
            self.shared.1.notify_one();
        }
    }

    fn refused(&self, lane: Option<&Lane>) {
        self.state().refusing.extend(lane.cloned());
    }

    /// The leases of the results.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.state().leases.values().cloned().collect()
    }

    /// How many take the place of a task: none while results are stored as they come.
    pub(crate) fn in_the_way(&self) -> usize {
        let state = self.state();
        if state.refusing.is_empty() { 0 } else { state.leases.len() }
    }

    /// Returns when a lane takes results again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn less(&self) {
        self.shared.1.notified().await;
    }
}

/// Stores results as they come, each lane beside the others: in a Cluster one lane's node may be away while the others'
/// are there.
pub(crate) async fn store_until_closed(
    queue: TaskQueue,
    mut store: mpsc::Receiver<(Lease, Handled)>,
    unstored: Unstored,
) {
    let mut lanes: HashMap<Lane, mpsc::UnboundedSender<(Lease, Handled)>> = HashMap::new();
    let mut storing = JoinSet::new();
    while let Some((lease, handled)) = store.recv().await {
        let to = lanes.entry(lease.task.lane()).or_insert_with(|| {
            // Bounded: what waits here takes the place of a task.
            let (sender, receiver) = mpsc::unbounded_channel();
            storing.spawn(store_lane(queue.clone(), receiver, unstored.clone()));
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
    unstored: Unstored,
) {
    let mut batch = Vec::with_capacity(STORE_AT_ONCE);
    while store.recv_many(&mut batch, STORE_AT_ONCE).await > 0 {
        let items: Vec<(Lease, Finish, TaskResult)> = batch
            .drain(..)
            .map(|(lease, handled)| (lease, handled.finish, handled.result))
            .collect();
        store_batch(&queue, &items, &unstored).await;
    }
}

/// Tries until Redis takes the batch or refuses it because the leases have passed on, however long it refuses or is
/// silent. What fails for another reason is given up once its leases have ended and others will run the tasks.
async fn store_batch(
    queue: &TaskQueue,
    items: &[(Lease, Finish, TaskResult)],
    unstored: &Unstored,
) {
    let lane = items.first().map(|(lease, ..)| lease.task.lane());
    let give_up = Instant::now() + queue.config.lease.max(Duration::from_secs(1)) * 2;
    let leases = || items.iter().map(|(lease, ..)| lease);
    loop {
        match queue.store_results(items).await {
            Ok(finished) => {
                for ((lease, finish, _), finished) in items.iter().zip(finished) {
                    // What is only handed back may have been taken back before.
                    if finished == Finished::Stale && *finish != Finish::Requeue {
                        tracing::warn!(task_id = %lease.task.task_id, "result refused: the lease had passed on or the task had ended");
                    }
                }
                unstored.remove(lane.as_ref(), leases());
                return;
            }
            Err(error) => {
                unstored.refused(lane.as_ref());
                queue.note_trouble(lane.as_ref(), "store results", &error.source);
                if !refusal::passes(&error.source) && give_up <= Instant::now() {
                    tracing::error!(error = %error.source, "results dropped; their tasks run again");
                    unstored.remove(lane.as_ref(), leases());
                    return;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}
