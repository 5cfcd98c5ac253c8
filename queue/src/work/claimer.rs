//! Claims beside the worker's loop: a Redis that is silent must not keep the loop from renewing leases.
//!
//! One pass goes through the lanes with the room there is. In a Cluster the node of one lane may be away while the
//! others' are there: its claim is given up soon, and the lane rests, each time for longer, and comes last after that.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::redis::time::timed_out;
use crate::task::Lane;
use crate::work::lease::Lease;

/// In a Cluster a claim without an answer is given up after this long.
const CLAIM_AT_MOST: Duration = Duration::from_secs(1);
/// How long a lane rests after its first trouble, and at most: work goes on within 2 s of its Redis being back.
const REST: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1_500));

/// What a pass brings.
#[derive(Debug)]
pub(crate) enum Claimed {
    Leases(Vec<Lease>),
    /// The pass is over; with trouble it is worth another soon.
    Done {
        trouble: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Claimer {
    asks: mpsc::Sender<(Vec<Lane>, usize)>,
    claimed: mpsc::Receiver<Claimed>,
    busy: bool,
    task: JoinHandle<()>,
}

impl Claimer {
    pub(crate) fn start(queue: TaskQueue, worker: String) -> Self {
        let (asks, asked) = mpsc::channel(1);
        let (claim, claimed) = mpsc::channel(16);
        let task = tokio::spawn(claim_until_closed(queue, worker, asked, claim));
        Self { asks, claimed, busy: false, task }
    }

    /// Begins a pass, unless one is under way; says whether it did.
    pub(crate) fn ask(&mut self, lanes: &[Lane], room: usize) -> bool {
        if self.busy {
            return false;
        }
        self.busy = self.asks.try_send((lanes.to_vec(), room)).is_ok();
        self.busy
    }

    /// Whether a pass is under way.
    pub(crate) fn busy(&self) -> bool {
        self.busy
    }

    /// What the pass under way brings next. Never returns when none is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Claimed {
        if !self.busy {
            return std::future::pending().await;
        }
        let claimed = self.claimed.recv().await.unwrap_or(Claimed::Done { trouble: true });
        self.busy = !matches!(claimed, Claimed::Done { .. });
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
    mut asked: mpsc::Receiver<(Vec<Lane>, usize)>,
    claim: mpsc::Sender<Claimed>,
) {
    let mut resting: HashMap<Lane, (Instant, Duration)> = HashMap::new();
    while let Some((mut lanes, mut room)) = asked.recv().await {
        let mut trouble = false;
        lanes.sort_by_key(|lane| resting.contains_key(lane));
        for lane in &lanes {
            if room == 0 {
                break;
            }
            if resting.get(lane).is_some_and(|(until, _)| Instant::now() < *until) {
                trouble = true;
                continue;
            }
            match claim_lane(&queue, lane, &worker, room).await {
                Ok(leases) => {
                    resting.remove(lane);
                    room = room.saturating_sub(leases.len());
                    if !leases.is_empty() && claim.send(Claimed::Leases(leases)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    queue.note_trouble(Some(lane), "claim tasks", &error);
                    let longer = resting.get(lane).map_or(REST.0, |(_, rest)| *rest * 2);
                    let rest = longer.min(REST.1);
                    resting.insert(lane.clone(), (Instant::now() + rest, rest));
                    trouble = true;
                }
            }
        }
        if claim.send(Claimed::Done { trouble }).await.is_err() {
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
    if !queue.server.has_slots() {
        return claiming.await.map_err(|error| error.source);
    }
    // A claim that was given up and happened all the same is a lease that ends by itself.
    match tokio::time::timeout(CLAIM_AT_MOST, claiming).await {
        Ok(claimed) => claimed.map_err(|error| error.source),
        Err(_) => Err(timed_out()),
    }
}
