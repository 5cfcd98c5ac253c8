//! Claims tasks in the background, so that a silent Redis does not keep the worker's loop from renewing leases.
//!
//! One pass goes through the lanes until the free slots are used. In a Cluster the node of one lane may be down while others
//! are up. Its claim times out soon, the lane backs off exponentially, and it comes last in the next passes.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::redis::time::timed_out;
use crate::task::Lane;
use crate::work::lease::Lease;

/// Longest wait for a claim in a Cluster.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);
/// Backoff of a lane after its first error.
const FIRST_BACKOFF: Duration = Duration::from_millis(300);
/// Longest backoff of a lane: it is claimed from within 2 s of its Redis being back.
const MAX_BACKOFF: Duration = Duration::from_millis(1_500);

/// What happens during a pass.
#[derive(Debug)]
pub(crate) enum ClaimEvent {
    Leases(Vec<Lease>),
    /// The pass is over. After an error another pass should follow soon.
    Done {
        failed: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Claimer {
    requests: mpsc::Sender<(Vec<Lane>, usize)>,
    claimed: mpsc::Receiver<ClaimEvent>,
    busy: bool,
    task: JoinHandle<()>,
}

impl Claimer {
    pub(crate) fn start(queue: TaskQueue, worker: String) -> Self {
        let (requests, received) = mpsc::channel(1);
        let (claim, claimed) = mpsc::channel(16);
        let task = tokio::spawn(claim_until_closed(queue, worker, received, claim));
        Self { requests, claimed, busy: false, task }
    }

    /// Begins a pass with `room` free slots, unless one is in progress. Returns whether it did.
    pub(crate) fn begin(&mut self, lanes: &[Lane], room: usize) -> bool {
        if self.busy {
            return false;
        }
        self.busy = self.requests.try_send((lanes.to_vec(), room)).is_ok();
        self.busy
    }

    /// Whether a pass is in progress.
    pub(crate) fn busy(&self) -> bool {
        self.busy
    }

    /// The next event of the pass in progress. Never returns without one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> ClaimEvent {
        if !self.busy {
            return std::future::pending().await;
        }
        let claimed = self.claimed.recv().await.unwrap_or(ClaimEvent::Done { failed: true });
        self.busy = !matches!(claimed, ClaimEvent::Done { .. });
        claimed
    }
}

impl Drop for Claimer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn claim_until_closed(
    queue: TaskQueue,
    worker: String,
    mut received: mpsc::Receiver<(Vec<Lane>, usize)>,
    claim: mpsc::Sender<ClaimEvent>,
) {
    let mut backing_off: HashMap<Lane, (Instant, Duration)> = HashMap::new();
    while let Some((mut lanes, mut room)) = received.recv().await {
        let mut failed = false;
        lanes.sort_by_key(|lane| backing_off.contains_key(lane));
        for lane in &lanes {
            if room == 0 {
                break;
            }
            if backing_off.get(lane).is_some_and(|(until, _)| Instant::now() < *until) {
                failed = true;
                continue;
            }
            match claim_lane(&queue, lane, &worker, room).await {
                Ok(leases) => {
                    backing_off.remove(lane);
                    room = room.saturating_sub(leases.len());
                    if !leases.is_empty() && claim.send(ClaimEvent::Leases(leases)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    queue.note_trouble(Some(lane), "claim tasks", &error);
                    let doubled =
                        backing_off.get(lane).map_or(FIRST_BACKOFF, |(_, backoff)| *backoff * 2);
                    let backoff = doubled.min(MAX_BACKOFF);
                    backing_off.insert(lane.clone(), (Instant::now() + backoff, backoff));
                    failed = true;
                }
            }
        }
        if claim.send(ClaimEvent::Done { failed }).await.is_err() {
            return;
        }
    }
}

async fn claim_lane(
    queue: &TaskQueue,
    lane: &Lane,
    worker: &str,
    room: usize,
) -> Result<Vec<Lease>, redis::RedisError> {
    let claiming = queue.claim_lane(lane, worker, room);
    if !queue.server.is_cluster() {
        return claiming.await.map_err(|error| error.source);
    }
    // If a claim that timed out still runs later, its leases end by themselves.
    match tokio::time::timeout(CLAIM_TIMEOUT, claiming).await {
        Ok(claimed) => claimed.map_err(|error| error.source),
        Err(_) => Err(timed_out()),
    }
}
