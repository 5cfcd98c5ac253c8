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

/// How a call ended for its claim.
#[derive(Debug)]
pub(super) enum Called {
    Claimed(Claimed),
    /// Redis did not answer, or refused.
    ClaimFailed,
    /// Results had to be sent again, without a claim. They are stored now, or were given up.
    StoredLate,
}

/// Stores results, and claims what `demand` says.
pub(super) async fn call<H: TaskHandler>(
    state: Arc<LaneState<H>>,
    results: Vec<Unstored>,
    demand: Demand,
) -> Called {
    let call = Call { state: &state };
    if results.is_empty() {
        return call.claim(demand).await;
    }
    let Shared { queue, held, .. } = &*state.shared;
    let give_up = Instant::now() + queue.config.lease.max(Duration::from_secs(1)) * 2;
    let called = match call.finish(&results, demand).await {
        Ok(claimed) => Called::Claimed(claimed),
        Err(error) => {
            call.store_until_taken(&results, error, give_up).await;
            Called::StoredLate
        }
    };
    held.remove(results.iter().map(|(lease, _)| &**lease));
    called
}

struct Call<'a, H> {
    state: &'a LaneState<H>,
}

impl<H: TaskHandler> Call<'_, H> {
    async fn claim(&self, demand: Demand) -> Called {
        let LaneState { shared, lane, .. } = self.state;
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

    async fn finish(&self, results: &[Unstored], demand: Demand) -> Result<Claimed, RedisError> {
        let LaneState { shared, lane, .. } = self.state;
        let items: Vec<FinishItem<'_>> = results
            .iter()
            .map(|(lease, handled)| FinishItem::by_holder(lease, handled.finish, &handled.result))
            .collect();
        let (replies, claimed) =
            shared.queue.finish_and_claim(lane, &items, &shared.worker, demand).await?;
        for ((lease, handled), reply) in results.iter().zip(replies) {
            let finished = reply.for_holder().map_err(RedisError::during("finish tasks"))?;
            // What is only given back may have been taken back before.
            if finished == Finished::Stale && handled.finish != Finish::Requeue {
                tracing::warn!(task_id = %lease.task.task_id, "result refused: the lease had passed on or the task had ended");
            }
        }
        Ok(claimed)
    }

    /// Tries until Redis takes the results or refuses them because the leases have passed on, however long it refuses or
    /// is silent. What fails for another reason is given up once its leases have ended and others will run the tasks.
    async fn store_until_taken(&self, results: &[Unstored], first: RedisError, give_up: Instant) {
        let LaneState { shared, lane, .. } = self.state;
        let mut error = first;
        loop {
            shared.queue.note_trouble(Some(lane), "store results", &error.source);
            if !refusal::is_temporary(&error.source) && give_up <= Instant::now() {
                tracing::error!(error = %error.source, "results dropped; their tasks run again");
                return;
            }
            tokio::time::sleep(REDIS_RETRY_DELAY).await;
            match self.finish(results, Demand::default()).await {
                Ok(_) => return,
                Err(again) => error = again,
            }
        }
    }
}
