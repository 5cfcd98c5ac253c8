//! The sweep: returns tasks with an expired lease to the queue, and ends tasks whose deadline has passed.
//!
//! Every worker and every coordinator sweeps, without a leader. The script of each step checks again whether the step is due,
//! so several sweepers do no harm. A deadline is enforced even when no worker is running.

use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::refusal;
use crate::redis::scripts::check_count;
use crate::redis::time::{millis, timed_out};
use crate::task::Lane;
use crate::task::{FailureCode, TaskResult, TaskStatus};
use crate::work::ending::Ending;
use crate::work::finish::FinishItem;
use crate::work::reply::FinishReply;

/// Most tasks that one sweep handles per lane; the next sweep handles the rest.
const MAX_TASKS: usize = 256;

/// Most lanes in one call, and most due retries that it moves: Redis does nothing else meanwhile.
const MAX_LANES: usize = 128;
const MAX_MOVED: usize = 4_096;

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
    let mut total = Total { queue, swept: Swept::default(), failure: None };
    if queue.server.is_cluster() {
        let lanes = lanes_of_cluster(queue).await?;
        // In parallel: a silent node must not delay other lanes.
        let sweeping =
            lanes.iter().map(|lane| with_timeout(SWEEP_TIMEOUT, sweep_lane(queue, lane)));
        for (lane, swept) in lanes.iter().zip(join_all(sweeping).await) {
            total.add(Some(lane), swept);
        }
        return total.end();
    }
    let known = queue.listed_lanes().clone();
    sweep_server(queue, &known, &mut total).await;
    // Those that were registered since the last list.
    let listed = queue.listed_lanes().clone();
    let new: Vec<Lane> = listed.into_iter().filter(|lane| !known.contains(lane)).collect();
    if !new.is_empty() {
        sweep_server(queue, &new, &mut total).await;
    }
    total.end()
}

/// What all lanes' sweeps came to.
struct Total<'a> {
    queue: &'a TaskQueue,
    swept: Swept,
    failure: Option<RedisError>,
}

impl Total<'_> {
    fn add(&mut self, lane: Option<&Lane>, swept: Result<Swept, RedisError>) {
        match swept {
            Ok(swept) => {
                self.swept.reclaimed += swept.reclaimed;
                self.swept.crashed += swept.crashed;
                self.swept.expired += swept.expired;
            }
            Err(error) => {
                self.queue.note_trouble(lane, error.action, &error.source);
                self.failure = Some(error);
            }
        }
    }

    fn end(self) -> Result<Swept, RedisError> {
        self.failure.map_or(Ok(self.swept), Err)
    }
}

/// The lanes of a Cluster, or the last list when the list's node is silent.
async fn lanes_of_cluster(queue: &TaskQueue) -> Result<Vec<Lane>, RedisError> {
    let listed = with_timeout(LIST_TIMEOUT, queue.lanes()).await;
    listed.or_else(|error| {
        let listed_before = queue.listed_lanes().clone();
        if listed_before.is_empty() {
            queue.note_trouble(None, "look for lanes", &error.source);
            return Err(error);
        }
        Ok(listed_before)
    })
}

/// In a Cluster, limits the wait for a node. Otherwise the next sweep of other lanes would be so late that it would look like
/// an outage. A script that still runs later checks again what is due.
async fn with_timeout<T>(
    timeout: Duration,
    operation: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    tokio::time::timeout(timeout, operation)
        .await
        .unwrap_or_else(|_| Err(RedisError { action: "sweep a lane in time", source: timed_out() }))
}

/// Sweeps lanes of a single server, many in one call: an idle server feels a call for each.
async fn sweep_server(queue: &TaskQueue, lanes: &[Lane], total: &mut Total<'_>) {
    // Without lanes there is still the list of lanes to read, and that of pushed tasks.
    let groups = lanes.chunks(MAX_LANES).chain(lanes.is_empty().then_some(lanes));
    for lanes in groups {
        match look(queue, Common::Included, lanes).await {
            Ok(Looked { listed, pushed, found }) => {
                match listed {
                    Some(names) => drop(queue.note_lanes(names)),
                    // The script passes over a list that it cannot read; this says why.
                    None => total.add(None, queue.lanes().await.map(|_| Swept::default())),
                }
                if pushed > 0 {
                    queue.pushed.notify_one();
                }
                let ending =
                    lanes.iter().zip(found).map(|(lane, found)| end_found(queue, lane, found));
                for (lane, swept) in lanes.iter().zip(join_all(ending).await) {
                    total.add(Some(lane), swept);
                }
            }
            // Where the keys of one lane are broken, or a key that all share, the others are swept all the same.
            Err(error)
                if error.source.code().is_some() && !refusal::is_temporary(&error.source) =>
            {
                total.add(None, queue.lanes().await.map(|_| Swept::default()));
                queue.pushed.notify_one();
                let sweeping = lanes.iter().map(|lane| sweep_lane(queue, lane));
                for (lane, swept) in lanes.iter().zip(join_all(sweeping).await) {
                    total.add(Some(lane), swept);
                }
            }
            Err(error) => total.add(None, Err(error)),
        }
    }
}

/// Sweeps one lane, with no other keys than its own.
async fn sweep_lane(queue: &TaskQueue, lane: &Lane) -> Result<Swept, RedisError> {
    let looked = look(queue, Common::LeftOut, std::slice::from_ref(lane)).await?;
    end_found(queue, lane, looked.found.into_iter().next().unwrap_or_default()).await
}

/// Whether a call reads the keys that all lanes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Common {
    Included,
    LeftOut,
}

/// The names of the registered lanes, if they were read.
type Listed = Option<Vec<Vec<u8>>>;

/// What the script returns.
struct Looked {
    listed: Listed,
    /// Pushed tasks on the ingress list.
    pushed: u64,
    /// For each lane.
    found: Vec<Found>,
}

/// Ids whose lease ended, ids whose deadline passed, and the length in ms of an outage that ended now.
type Found = (Vec<Vec<u8>>, Vec<Vec<u8>>, u64);

async fn look(queue: &TaskQueue, common: Common, lanes: &[Lane]) -> Result<Looked, RedisError> {
    let mut script = queue.scripts.sweep.prepare();
    let common = match common {
        Common::Included => vec![queue.keys.types(), queue.keys.ingress()],
        Common::LeftOut => Vec::new(),
    };
    script.key(&common);
    for lane in lanes {
        script.key(&queue.keys.lease_store(lane));
    }
    script
        .arg(MAX_TASKS)
        .arg(millis(queue.config.outage()))
        .arg(millis(queue.config.lease))
        .arg(millis(queue.config.time_to_live))
        .arg(millis(queue.config.sweep_every / 2))
        .arg(common.len())
        .arg(MAX_MOVED);
    let reply: redis::RedisResult<(Listed, u64, Vec<Found>)> =
        script.run(&mut queue.connection.clone()).await;
    let looked = reply.and_then(|(listed, pushed, found)| {
        check_count("sweep.lua", found.len(), lanes.len())?;
        Ok(Looked { listed, pushed, found })
    });
    looked.map_err(RedisError::during("look for expired leases"))
}

/// Ends or returns what the script found; `finish.lua` checks each id again.
async fn end_found(
    queue: &TaskQueue,
    lane: &Lane,
    (lost, expired, outage): Found,
) -> Result<Swept, RedisError> {
    let mut swept = Swept::default();
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
        ids.iter().map(|id| FinishItem { id, ending, result, done_channel: None }).collect();
    queue.finish_unheld(lane, &items).await
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
