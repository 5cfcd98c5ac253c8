//! The sweep: gives expired leases to somebody else and answers tasks whose deadline passed.
//!
//! Every worker and every coordinator sweeps, without a leader: each step is decided again by the script that does it,
//! so two sweepers at once do no harm. That is why a deadline is answered even when no worker is alive.

use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::time::{millis, timed_out};
use crate::task::Lane;
use crate::task::{FailureCode, TaskResult, TaskStatus};
use crate::work::ending::Ending;
use crate::work::finish::FinishItem;
use crate::work::reply::FinishReply;

/// Tasks that one sweep handles per lane; the next sweep takes the rest.
const AT_MOST: usize = 256;

/// In a Cluster, how long the list of lanes and a lane's sweep are waited for. With the pause between two sweeps that is
/// less than what looks like an outage (`QueueConfig::outage`): a silent node's lane must not make it one for others.
const LIST_WITHIN: Duration = Duration::from_millis(500);
/// See [`LIST_WITHIN`].
const SWEPT_WITHIN: Duration = Duration::from_secs(1);

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tasks taken back from a worker that is silent; they run again.
    pub reclaimed: usize,
    /// Tasks given up because their worker died too often.
    pub crashed: usize,
    /// Tasks whose deadline passed.
    pub expired: usize,
}

/// Looks once through all lanes.
///
/// # Errors
///
/// When Redis does not answer, for one lane or for all; what was done stays done.
pub async fn sweep(queue: &TaskQueue) -> Result<Swept, RedisError> {
    let lanes = match in_time(queue, LIST_WITHIN, queue.lanes_to_sweep()).await {
        Ok(lanes) => lanes,
        Err(error) => {
            let last = queue.last_lanes().clone();
            if last.is_empty() {
                queue.note_trouble(None, "look for lanes", &error.source);
                return Err(error);
            }
            last
        }
    };
    // Side by side: a lane whose node in a Cluster is silent must not hold up the others.
    let sweeping = lanes.iter().map(|lane| in_time(queue, SWEPT_WITHIN, sweep_lane(queue, lane)));
    let mut all = Swept::default();
    let mut trouble = None;
    for (lane, swept) in lanes.iter().zip(join_all(sweeping).await) {
        match swept {
            Ok(swept) => {
                all.reclaimed += swept.reclaimed;
                all.crashed += swept.crashed;
                all.expired += swept.expired;
            }
            Err(error) => {
                queue.note_trouble(Some(lane), "sweep", &error.source);
                trouble = Some(error);
            }
        }
    }
    trouble.map_or(Ok(all), Err)
}

/// In a Cluster, gives up what its node does not answer in time: the other lanes' next sweep would come so late that it
/// would look like an outage to them. What the node does all the same is decided again by its script.
async fn in_time<T>(
    queue: &TaskQueue,
    at_most: Duration,
    asking: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    if !queue.server.has_slots() {
        return asking.await;
    }
    tokio::time::timeout(at_most, asking)
        .await
        .unwrap_or_else(|_| Err(RedisError { action: "sweep a lane in time", source: timed_out() }))
}

async fn sweep_lane(queue: &TaskQueue, lane: &Lane) -> Result<Swept, RedisError> {
    let mut swept = Swept::default();
    let keys = &queue.keys;
    let mut script = queue.scripts.sweep.prepare();
    keys.lane(lane).iter().for_each(|key| {
        script.key(key);
    });
    let (lost, expired, outage): (Vec<Vec<u8>>, Vec<Vec<u8>>, u64) = script
        .arg(AT_MOST)
        .arg(millis(queue.config.outage()))
        .arg(millis(queue.config.lease))
        .arg(millis(queue.config.time_to_live))
        .arg(millis(queue.config.sweep_every / 2))
        .run(&mut queue.connection.clone())
        .await
        .map_err(RedisError::during("look for expired leases"))?;
    let lost = readable(queue, lost);
    let expired = readable(queue, expired);
    if outage > 0 {
        tracing::warn!(
            lane = %lane,
            outage_ms = outage,
            "Redis was not usable for a time: leases and deadlines that ended meanwhile are charged to nobody"
        );
    }
    if !expired.is_empty() {
        // When nobody can say who is there, the sender is told the plain thing.
        let offered = queue.offered_types().await.map(|types| types.contains(lane.task_type()));
        let result = if offered.unwrap_or(true) {
            TaskResult::failure(FailureCode::DeadlineExceeded, "it took too long; please try again")
        } else {
            TaskResult::failure(
                FailureCode::NoWorker,
                format!("no worker offers task type `{}`", lane.task_type()),
            )
        };
        let replies = finish_all(queue, lane, &expired, Ending::DeadlinePassed, &result).await?;
        swept.expired += count(&replies, FinishReply::Ended(TaskStatus::Timeout));
    }
    if !lost.is_empty() {
        let result = TaskResult::failure(
            FailureCode::WorkerCrashed,
            "the worker died each time it ran this task, so it was given up",
        );
        let replies = finish_all(queue, lane, &lost, Ending::LeaseLost, &result).await?;
        swept.reclaimed += count(&replies, FinishReply::Requeued);
        swept.crashed += count(&replies, FinishReply::Ended(TaskStatus::Failed));
    }
    Ok(swept)
}

fn count(replies: &[FinishReply], wanted: FinishReply) -> usize {
    replies.iter().filter(|reply| **reply == wanted).count()
}

/// Ids of ours. What somebody put in by hand and is no text must not keep the others from being ended.
fn readable(queue: &TaskQueue, ids: Vec<Vec<u8>>) -> Vec<String> {
    let read = |id: Vec<u8>| match String::from_utf8(id) {
        Ok(id) => Some(id),
        Err(error) => {
            queue.say_unreadable("task id", &String::from_utf8_lossy(error.as_bytes()));
            None
        }
    };
    ids.into_iter().filter_map(read).collect()
}

async fn finish_all(
    queue: &TaskQueue,
    lane: &Lane,
    ids: &[String],
    ending: Ending<'_>,
    result: &TaskResult,
) -> Result<Vec<FinishReply>, RedisError> {
    let items: Vec<FinishItem<'_>> =
        ids.iter().map(|id| FinishItem { id, ending, result }).collect();
    queue.finish_items(lane, &items).await
}

/// Sweeps until `shutdown`. Trouble with Redis is logged and tried again at the next turn.
pub async fn sweep_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        let pause = tokio::time::sleep(queue.config.sweep_every.max(Duration::from_millis(10)));
        // Losing either branch loses nothing: the next turn starts from Redis again.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = pause => {}
        }
        // A lane that fails was told of there.
        let (swept, ()) = tokio::join!(sweep(&queue), queue.look_whether_trouble_is_over());
        let swept = swept.unwrap_or_default();
        if swept != Swept::default() {
            tracing::info!(
                reclaimed = swept.reclaimed,
                crashed = swept.crashed,
                expired = swept.expired,
                "sweep ended leases and deadlines"
            );
        }
    }
}
