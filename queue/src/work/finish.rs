//! Ending and renewing leases, several in one call.

use futures::future::join_all;
use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::refusal::Refusal;
use crate::redis::scripts::check_count;
use crate::redis::time::{millis, timed_out};
use crate::task::Lane;
use crate::task::lane::indexes_by_lane;
use crate::task::{FailureCode, TaskId, TaskResult};
use crate::work::demand::{Claimed, Demand};
use crate::work::ending::{Arguments, Ending};
use crate::work::lease::{Finish, Finished, Lease, Renewal};
use crate::work::reply::{FinishReply, read_renewal};

pub(crate) struct FinishItem<'a> {
    pub(crate) id: &'a str,
    pub(crate) ending: Ending<'a>,
    pub(crate) result: &'a TaskResult,
    /// Where a process waits for the result, if the caller knows.
    pub(crate) done_channel: Option<&'a str>,
}

impl<'a> FinishItem<'a> {
    /// An ending by the holder of a lease.
    pub(crate) fn by_holder(lease: &'a Lease, finish: Finish, result: &'a TaskResult) -> Self {
        let id = lease.task.task_id.as_str();
        let ending = Ending::ByHolder { token: &lease.token, finish };
        Self { id, ending, result, done_channel: lease.task.done_channel.as_deref() }
    }
}

impl TaskQueue {
    /// Ends leases: stores their results, or returns the tasks to the queue.
    ///
    /// Returns one outcome per item in the same order. [`Finished::Stale`] means that the result was refused, because another
    /// worker has the lease or the task has ended; drop it.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Calling again is safe: what was stored already is then [`Finished::Stale`].
    pub async fn store_results(
        &self,
        items: &[(Lease, Finish, TaskResult)],
    ) -> Result<Vec<Finished>, RedisError> {
        let mut finished = vec![Finished::Stale; items.len()];
        for (lane, indexes) in indexes_by_lane(items.iter().map(|(lease, ..)| lease.task.lane())) {
            let batch: Vec<FinishItem<'_>> = indexes
                .iter()
                .filter_map(|index| items.get(*index))
                .map(|(lease, finish, result)| FinishItem::by_holder(lease, *finish, result))
                .collect();
            let replies = self.finish_items(&lane, &batch).await?;
            for (index, reply) in indexes.into_iter().zip(replies) {
                let reply = reply.for_holder().map_err(RedisError::during("finish tasks"))?;
                if let Some(slot) = finished.get_mut(index) {
                    *slot = reply;
                }
            }
        }
        Ok(finished)
    }

    /// Ends one lease. See [`TaskQueue::store_results`].
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::store_results`].
    pub async fn store_result(
        &self,
        lease: Lease,
        finish: Finish,
        result: TaskResult,
    ) -> Result<Finished, RedisError> {
        let finished = self.store_results(&[(lease, finish, result)]).await?;
        Ok(finished.first().copied().unwrap_or(Finished::Stale))
    }

    pub(crate) async fn finish_items(
        &self,
        lane: &Lane,
        items: &[FinishItem<'_>],
    ) -> Result<Vec<FinishReply>, RedisError> {
        let (replies, _) = self.call_finish(lane, items, "", Demand::default()).await?;
        Ok(replies)
    }

    /// Ends tasks of a lane or returns them to the queue, and claims more for `worker` in the same call.
    pub(crate) async fn finish_and_claim(
        &self,
        lane: &Lane,
        items: &[FinishItem<'_>],
        worker: &str,
        demand: Demand,
    ) -> Result<(Vec<FinishReply>, Claimed), RedisError> {
        let sent_at = Instant::now();
        let (replies, claim) = self.call_finish(lane, items, worker, demand).await?;
        let claimed = if demand == Demand::default() {
            Claimed::default()
        } else {
            self.read_claim(lane, "finish.lua", &claim, sent_at).await?
        };
        Ok((replies, claimed))
    }

    /// Calls the script. Returns its reply to each item, and after that its reply to the claim.
    async fn call_finish(
        &self,
        lane: &Lane,
        items: &[FinishItem<'_>],
        worker: &str,
        demand: Demand,
    ) -> Result<(Vec<FinishReply>, Vec<Vec<u8>>), RedisError> {
        let mut script = self.scripts.finish.prepare();
        script
            .key(&self.keys.lease_store(lane))
            .key(self.keys.replies(lane))
            .key(self.keys.dead(lane))
            .arg(items.len())
            .arg(self.config.keep_results.as_secs())
            .arg(self.config.max_crashes)
            .arg(self.config.keep_dead)
            .arg(self.keys.done_channel_prefix())
            .arg(demand.room)
            .arg(demand.ahead)
            .arg(millis(self.config.lease))
            .arg(worker)
            .arg(i32::from(self.server.is_cluster()));
        for item in items {
            // A text from Redis that is not a task id has no keys of its own; any other keys do.
            let id: TaskId = item.id.parse().unwrap_or_else(|_| TaskId::new(lane));
            let result = result_json(item.result);
            let Arguments { token, op, retry_ms } = item.ending.arguments();
            script
                .key(self.keys.status(&id))
                .key(self.keys.result(&id))
                .arg(item.id)
                .arg(token)
                .arg(op)
                .arg(result)
                .arg(retry_ms)
                .arg(item.done_channel.unwrap_or_default());
        }
        let reply: redis::RedisResult<Vec<Vec<u8>>> =
            script.run(&mut self.connection.clone()).await;
        let mut words = reply.map_err(RedisError::during("finish tasks"))?;
        let claim = words.split_off(items.len().min(words.len()));
        let replies = check_count("finish.lua", words.len(), items.len())
            .and_then(|()| {
                words.iter().map(|word| FinishReply::read(&String::from_utf8_lossy(word))).collect()
            })
            .map_err(RedisError::during("finish tasks"))?;
        Ok((replies, claim))
    }

    /// Renews leases. Returns one outcome per lease in the same order; none where the lane's Redis did not answer within
    /// [`crate::QueueConfig::renew_every`].
    ///
    /// # Errors
    ///
    /// Redis answered for no lease. They may or may not have been renewed.
    pub async fn renew(&self, leases: &[Lease]) -> Result<Vec<Option<Renewal>>, RedisError> {
        let leases: Vec<(&Lease, bool)> = leases.iter().map(|lease| (lease, true)).collect();
        self.renew_started(&leases).await
    }

    /// As [`TaskQueue::renew`], for leases of which only some have started.
    pub(crate) async fn renew_started(
        &self,
        leases: &[(&Lease, bool)],
    ) -> Result<Vec<Option<Renewal>>, RedisError> {
        let mut renewals = vec![None; leases.len()];
        let lanes = indexes_by_lane(leases.iter().map(|(lease, _)| lease.task.lane()));
        // In parallel: in a Cluster a silent node must not cost other lanes their leases.
        let renewing =
            join_all(lanes.iter().map(|(lane, indexes)| self.renew_lane(lane, indexes, leases)));
        let mut failure = None;
        for (indexes, renewed) in lanes.values().zip(renewing.await) {
            match renewed {
                Ok(answers) => {
                    for (index, renewal) in indexes.iter().zip(answers) {
                        if let Some(slot) = renewals.get_mut(*index) {
                            *slot = Some(renewal);
                        }
                    }
                }
                Err(error) => {
                    let lane = indexes.first().and_then(|index| leases.get(*index));
                    self.note_trouble(
                        lane.map(|(lease, _)| lease.task.lane()).as_ref(),
                        "renew leases",
                        &error.source,
                    );
                    if Refusal::of(&error.source).is_some() {
                        for index in indexes {
                            if let Some(slot) = renewals.get_mut(*index) {
                                *slot = Some(Renewal::Refused);
                            }
                        }
                    }
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if renewals.iter().all(Option::is_none) => Err(error),
            _ => Ok(renewals),
        }
    }

    async fn renew_lane(
        &self,
        lane: &Lane,
        indexes: &[usize],
        leases: &[(&Lease, bool)],
    ) -> Result<Vec<Renewal>, RedisError> {
        let mut script = self.scripts.heartbeat.prepare();
        script
            .key(self.keys.active(lane))
            .key(self.keys.data(lane))
            .key(self.keys.meta(lane))
            .key(self.keys.ahead(lane))
            .arg(millis(self.config.lease));
        for (lease, started) in indexes.iter().filter_map(|index| leases.get(*index)) {
            script.arg(lease.task.task_id.as_str()).arg(&lease.token).arg(i32::from(*started));
        }
        let mut connection = self.connection.clone();
        let answered = script.run(&mut connection);
        // With a time limit, so that a frozen Redis cannot keep a worker from noticing that its leases have ended.
        let answers = tokio::time::timeout(self.config.renew_every, answered).await;
        let answers: redis::RedisResult<Vec<i64>> = answers.unwrap_or_else(|_| Err(timed_out()));
        let renewals = answers.and_then(|answers| {
            check_count("heartbeat.lua", answers.len(), indexes.len())?;
            answers.into_iter().map(read_renewal).collect()
        });
        renewals.map_err(RedisError::during("renew leases"))
    }
}

/// The result as JSON. If that fails, it is a failure instead, so that the task ends.
fn result_json(result: &TaskResult) -> String {
    serde_json::to_string(result).unwrap_or_else(|_not_json| {
        let reason = "the result cannot be written as JSON";
        let failure = TaskResult::failure(FailureCode::InvalidOutput, reason);
        serde_json::to_string(&failure).unwrap_or_default()
    })
}
