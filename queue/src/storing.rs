//! Stores results beside the worker's loop, as many in one call as have come together.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::lane::Lane;
use crate::lease::{Finish, Finished, Lease};
use crate::registry::Handled;
use crate::task::TaskResult;
use crate::task_queue::TaskQueue;

/// Results stored in one script call.
pub(crate) const STORE_AT_ONCE: usize = 128;
/// Pause after trouble with Redis, so that a dead server does not make a busy loop.
const AFTER_TROUBLE: Duration = Duration::from_millis(300);

/// Stores results as they come, each lane beside the others: in a Cluster one lane's node may be away while the others'
/// are there.
pub(crate) async fn store_until_closed(
    queue: TaskQueue,
    mut store: mpsc::Receiver<(Lease, Handled)>,
) {
    let mut lanes: HashMap<Lane, mpsc::UnboundedSender<(Lease, Handled)>> = HashMap::new();
    let mut storing = JoinSet::new();
    while let Some((lease, handled)) = store.recv().await {
        let to = lanes.entry(lease.task.lane()).or_insert_with(|| {
            // Bounded by what the worker runs at once: a lease whose result waits here ends with its time.
            let (sender, receiver) = mpsc::unbounded_channel();
            storing.spawn(store_lane(queue.clone(), receiver));
            sender
        });
        let _ = to.send((lease, handled)); // Closed only when its task panicked; the lease ends then.
    }
    drop(lanes);
    storing.join_all().await;
}

async fn store_lane(queue: TaskQueue, mut store: mpsc::UnboundedReceiver<(Lease, Handled)>) {
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
