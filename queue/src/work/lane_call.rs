//! One call to a lane: stores results, claims tasks, or both.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::RedisError;
use crate::redis::refusal;
use crate::redis::time::{REDIS_RETRY_DELAY, timed_out};
use crate::work::demand::{Claimed, Demand};
use crate::work::finish::FinishItem;
use crate::work::handler::TaskHandler;
use crate::work::lane_state::{LaneState, Shared, Unstored};
use crate::work::lease::{Finish, Finished};

/// In a Cluster a claim without an answer is given up after this long.
const CLAIM_AT_MOST: Duration = Duration::from_secs(1);

/// How a call ended.
#[derive(Debug)]
pub(super) enum Called {
    /// What there was to store is stored.
    Claimed(Claimed),
    /// Redis did not answer, or refused.
    ClaimFailed,
    /// Nothing was claimed, and these results have to be sent again: [`store`].
    Unstored(Vec<Unstored>, RedisError),
    /// The results of [`store`] are stored, or were given up.
    Stored,
}

/// Stores results, and claims what `demand` says.
pub(super) async fn call<H: TaskHandler>(
    state: Arc<LaneState<H>>,
    results: Vec<Unstored>,
    demand: Demand,
) -> Called {
    if results.is_empty() {
        return claim(&state, demand).await;
    }
    match finish(&state, &results, demand).await {
        Ok(claimed) => {
            let_go(&state, &results);
            Called::Claimed(claimed)
        }
        Err(error) => Called::Unstored(results, error),
    }
}

/// Tries until Redis takes the results or refuses them because the leases have passed on, however long it refuses or is
/// silent. What fails for another reason is given up once its leases have ended and others will run the tasks.
pub(super) async fn store<H: TaskHandler>(
    state: Arc<LaneState<H>>,
    results: Vec<Unstored>,
    first: RedisError,
) -> Called {
    let Shared { queue, .. } = &*state.shared;
    let give_up = Instant::now() + queue.config.lease.max(Duration::from_secs(1)) * 2;
    let mut error = first;
    loop {
        queue.note_trouble(Some(&state.lane), "store results", &error.source);
        if !refusal::is_temporary(&error.source) && give_up <= Instant::now() {
            tracing::error!(error = %error.source, "results dropped; their tasks run again");
            break;
        }
        tokio::time::sleep(REDIS_RETRY_DELAY).await;
        match finish(&state, &results, Demand::default()).await {
            Ok(_) => break,
            Err(again) => error = again,
        }
    }
    let_go(&state, &results);
    Called::Stored
}

fn let_go<H>(state: &LaneState<H>, results: &[Unstored]) {
    state.shared.held.remove(results.iter().map(|(lease, _)| &**lease));
}

async fn claim<H: TaskHandler>(state: &LaneState<H>, demand: Demand) -> Called {
    let LaneState { shared, lane, .. } = state;
    let queue = &shared.queue;
    let claiming = queue.claim_lane(lane, &shared.worker, demand);
    // A claim that was given up and happened all the same is a lease that ends by itself.
    let at_most = if queue.server.is_cluster() { CLAIM_AT_MOST } else { Duration::MAX };
    let claimed = match tokio::time::timeout(at_most, claiming).await {
        Ok(claimed) => claimed.map_err(|error| error.source),
        Err(_) => Err(timed_out()),
    };
    claimed.map_or_else(
        |error| {
            queue.note_trouble(Some(lane), "claim tasks", &error);
            Called::ClaimFailed
        },
        Called::Claimed,
    )
}

async fn finish<H: TaskHandler>(
    state: &LaneState<H>,
    results: &[Unstored],
    demand: Demand,
) -> Result<Claimed, RedisError> {
    let LaneState { shared, lane, .. } = state;
    let items: Vec<FinishItem<'_>> = results
        .iter()
        .map(|(lease, handled)| FinishItem::by_holder(lease, handled.finish, &handled.result))
        .collect();
    let (replies, claimed) =
        shared.queue.finish_and_claim(lane, &items, &shared.worker, demand).await?;
    for ((lease, handled), reply) in results.iter().zip(replies) {
        if let Some(history) = &shared.queue.history {
            history.note_held(&shared.worker, lease, handled, reply);
        }
        let finished = reply.for_holder().map_err(RedisError::during("finish tasks"))?;
        // What is only given back may have been taken back before.
        if finished == Finished::Stale && handled.finish != Finish::Requeue {
            tracing::warn!(task_id = %lease.task.task_id, "result refused: the lease had passed on or the task had ended");
        }
    }
    Ok(claimed)
}
