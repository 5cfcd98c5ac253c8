//! The sweep: returns tasks with an expired lease to the queue, and ends tasks whose deadline has passed.
//!
//! Every worker and every coordinator sweeps, without a leader. The script of each step checks again whether the step is due,
//! so several sweepers do no harm. A deadline is enforced even when no worker is running.

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

/// Most tasks that one sweep handles per lane; the next sweep handles the rest.
const MAX_TASKS: usize = 256;

/// In a Cluster, the longest wait for the list of lanes. Together with [`SWEEP_TIMEOUT`] and the pause between two sweeps it
/// is less than `QueueConfig::outage`, so that a silent node does not look like an outage for other lanes.
const LIST_TIMEOUT: Duration = Duration::from_millis(500);
/// In a Cluster, the longest wait for a lane's sweep. See [`LIST_TIMEOUT`].
const SWEEP_TIMEOUT: Duration = Duration::from_secs(1);

/// The outcome of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tasks of silent workers that were returned to the queue.
    pub reclaimed: usize,
    /// Tasks that were ended because too many workers died while running them.
    pub crashed: usize,
    /// Tasks whose deadline has passed.
    pub expired: usize,
}

/// Sweeps all lanes once.
///
/// # Errors
///
/// Redis does not answer for a lane. The other lanes were swept.
pub async fn sweep(queue: &TaskQueue) -> Result<Swept, RedisError> {
    let lanes = match with_timeout(queue, LIST_TIMEOUT, queue.lanes_to_sweep()).await {
        Ok(lanes) => lanes,
        Err(error) => {
            let listed = queue.listed_lanes().clone();
            if listed.is_empty() {
                queue.note_trouble(None, "look for lanes", &error.source);
                return Err(error);
            }
            listed
        }
    };
    // In parallel: in a Cluster a silent node must not delay other lanes.
    let sweeping =
        lanes.iter().map(|lane| with_timeout(queue, SWEEP_TIMEOUT, sweep_lane(queue, lane)));
    let mut total = Swept::default();
    let mut failure = None;
    for (lane, swept) in lanes.iter().zip(join_all(sweeping).await) {
        match swept {
            Ok(swept) => {
                total.reclaimed += swept.reclaimed;
                total.crashed += swept.crashed;
                total.expired += swept.expired;
            }
            Err(error) => {
                queue.note_trouble(Some(lane), "sweep", &error.source);
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(total), Err)
}

/// In a Cluster, limits the wait for a node. Otherwise the next sweep of other lanes would be so late that it would look like
/// an outage. A script that still runs later checks again what is due.
async fn with_timeout<T>(
    queue: &TaskQueue,
    timeout: Duration,
    operation: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    if !queue.server.is_cluster() {
        return operation.await;
    }
    tokio::time::timeout(timeout, operation)
        .await
        .unwrap_or_else(|_| Err(RedisError { action: "sweep a lane in time", source: timed_out() }))
}

async fn sweep_lane(queue: &TaskQueue, lane: &Lane) -> Result<Swept, RedisError> {
    let mut swept = Swept::default();
    let (lost, expired, outage): (Vec<Vec<u8>>, Vec<Vec<u8>>, u64) = queue
        .scripts
        .sweep
        .key(&queue.keys.lease_store(lane))
        .arg(MAX_TASKS)
        .arg(millis(queue.config.outage()))
        .arg(millis(queue.config.lease))
        .arg(millis(queue.config.time_to_live))
        .arg(millis(queue.config.sweep_every / 2))
        .run(&mut queue.connection.clone())
        .await
        .map_err(RedisError::during("look for expired leases"))?;
    let lost = task_ids(queue, lost);
    let expired = task_ids(queue, expired);
    if outage > 0 {
        tracing::warn!(
            lane = %lane,
            outage_ms = outage,
            "Redis was unavailable; leases and deadlines that ended meanwhile are extended"
        );
    }
    if !expired.is_empty() {
        // If the list of workers cannot be read, the result does not blame a missing worker.
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

fn count(replies: &[FinishReply], expected: FinishReply) -> usize {
    replies.iter().filter(|reply| **reply == expected).count()
}

/// The ids that are valid text. An entry that somebody added by hand must not keep other tasks from being ended.
fn task_ids(queue: &TaskQueue, ids: Vec<Vec<u8>>) -> Vec<String> {
    let read = |id: Vec<u8>| match String::from_utf8(id) {
        Ok(id) => Some(id),
        Err(error) => {
            queue.warn_unreadable("task id", &String::from_utf8_lossy(error.as_bytes()));
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

/// Sweeps until `shutdown`. An error of Redis is logged, and the next sweep tries again.
pub async fn sweep_until(queue: TaskQueue, shutdown: CancellationToken) {
    loop {
        let pause = tokio::time::sleep(queue.config.sweep_every.max(Duration::from_millis(10)));
        // Dropping either branch loses nothing: each sweep reads its state from Redis.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = pause => {}
        }
        // `sweep` has logged the lanes that failed.
        let (swept, ()) = tokio::join!(sweep(&queue), queue.check_recovery());
        let swept = swept.unwrap_or_default();
        if swept != Swept::default() {
            tracing::info!(
                reclaimed = swept.reclaimed,
                crashed = swept.crashed,
                expired = swept.expired,
                "sweep ended leases or tasks"
            );
        }
    }
}

#[cfg(test)]
mod tests;
