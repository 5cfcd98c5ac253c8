//! Claiming: a ready task becomes a lease.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::scripts::{check_count, unknown_reply};
use crate::redis::task_record::TaskRecord;
use crate::redis::time::{from_now, millis};
use crate::redis::wake_ups::WakeUps;
use crate::task::Lane;
use crate::task::{FailureCode, Task, TaskResult, TaskType};
use crate::work::demand::{Claimed, Demand};
use crate::work::ending::Ending;
use crate::work::finish::FinishItem;
use crate::work::lease::{Finish, Lease};

impl TaskQueue {
    /// Claims one ready task of `types`, waiting at most `timeout` for it.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Nothing was claimed, unless the reply was lost: such a lease ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe. If the future is dropped after the script ran, the task stays leased until its lease ends. If it is
    /// dropped while it waits, a wake-up may be lost, which the sweep replaces.
    pub async fn get_task(
        &self,
        types: &[TaskType],
        worker: &str,
        timeout: Duration,
    ) -> Result<Option<Lease>, RedisError> {
        let mut wake_ups = WakeUps::new(&self.server, &self.keys);
        let until = from_now(timeout);
        loop {
            if let Some(lease) = self.claim(types, worker, 1).await?.pop() {
                return Ok(Some(lease));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            wake_ups.listen(&self.lanes_of(types), left);
            wake_ups.next().await?;
        }
    }

    /// Claims up to `max` ready tasks of `types` without waiting.
    ///
    /// A task whose JSON cannot be read is ended as failed, and left out.
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::get_task`].
    pub async fn claim(
        &self,
        types: &[TaskType],
        worker: &str,
        max: usize,
    ) -> Result<Vec<Lease>, RedisError> {
        let mut leases = Vec::new();
        for lane in self.lanes_of(types) {
            let demand = Demand { room: max - leases.len(), ahead: 0 };
            if demand.room == 0 {
                break;
            }
            match self.claim_lane(&lane, worker, demand).await {
                Ok(claimed) => leases.extend(claimed.leases),
                // Tasks that were claimed already must run: dropping them would count as a crash.
                Err(error) if !leases.is_empty() => {
                    tracing::warn!(lane = %lane, error = %error.source, "cannot claim tasks of a lane");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(leases)
    }

    /// As [`TaskQueue::claim`], for one lane.
    pub(crate) async fn claim_lane(
        &self,
        lane: &Lane,
        worker: &str,
        demand: Demand,
    ) -> Result<Claimed, RedisError> {
        // Taken before the script runs, so that our lease ends before that in Redis.
        let sent_at = Instant::now();
        let mut script = self.scripts.claim.prepare();
        script
            .key(&self.keys.lease_store(lane))
            .arg(demand.room)
            .arg(demand.ahead)
            .arg(millis(self.config.lease))
            .arg(worker);
        let reply: redis::RedisResult<Vec<Vec<u8>>> =
            script.run(&mut self.connection.clone()).await;
        let reply = reply.map_err(RedisError::during("claim tasks"))?;
        self.read_claim(lane, "claim.lua", &reply, sent_at).await
    }

    /// Reads the reply of `claim`, in either script.
    pub(crate) async fn read_claim(
        &self,
        lane: &Lane,
        script: &str,
        reply: &[Vec<u8>],
        sent_at: Instant,
    ) -> Result<Claimed, RedisError> {
        let [more, now, values @ ..] = reply else {
            let error = unknown_reply(script, &format!("{} values", reply.len()));
            return Err(RedisError { action: "claim tasks", source: error });
        };
        let now = std::str::from_utf8(now).ok().and_then(|now| now.parse::<u64>().ok());
        let now = now.ok_or_else(|| unknown_reply(script, "no time"));
        let now = now.map_err(RedisError::during("claim tasks"))?;
        check_count(script, values.len(), values.len() / 2 * 2)
            .map_err(RedisError::during("claim tasks"))?;
        let mut leases = Vec::with_capacity(values.len() / 2);
        for pair in values.chunks_exact(2) {
            let [id, value] = pair else { continue };
            match read_claimed(id, value, lane, now, sent_at, self.config.lease) {
                Ok(lease) => leases.push(lease),
                Err(unreadable) => {
                    if let Err(error) = self.refuse_unreadable(lane, &unreadable).await {
                        // Its lease ends, and it is claimed again.
                        tracing::warn!(lane = %lane, error = %error.source, "cannot end an unreadable task");
                    }
                }
            }
        }
        let more = std::str::from_utf8(more).ok().and_then(|more| more.parse::<u64>().ok());
        let next_start = more.filter(|ms| *ms > 1).map(Duration::from_millis);
        Ok(Claimed { leases, more: more == Some(1), next_start })
    }

    async fn refuse_unreadable(
        &self,
        lane: &Lane,
        unreadable: &Unreadable,
    ) -> Result<(), RedisError> {
        tracing::warn!(
            task_id = %unreadable.id, lane = %lane, error = %unreadable.reason,
            "task ended as failed: its JSON cannot be read"
        );
        let result = TaskResult::failure(FailureCode::InvalidTask, unreadable.reason.clone());
        let ending = Ending::ByHolder { token: &unreadable.token, finish: Finish::Failed };
        let id = &unreadable.id;
        let item = FinishItem { id, ending, result: &result, done_channel: None };
        self.finish_unheld(lane, &[item]).await?;
        Ok(())
    }
}

/// The position only, because the error's own text may quote what a person wrote.
fn unreadable_json(error: &serde_json::Error) -> String {
    let line = error.line();
    let column = error.column();
    format!("the task's JSON cannot be read at line {line}, column {column}")
}

struct Unreadable {
    id: String,
    token: String,
    reason: String,
}

fn read_claimed(
    id: &[u8],
    value: &[u8],
    lane: &Lane,
    now: u64,
    sent_at: Instant,
    lease_time: Duration,
) -> Result<Lease, Unreadable> {
    let id = String::from_utf8_lossy(id).into_owned();
    let Some(record) = TaskRecord::read(value) else {
        let reason = "the task's counters cannot be read".to_owned();
        return Err(Unreadable { id, token: String::new(), reason });
    };
    let unreadable =
        |reason: String| Unreadable { id: id.clone(), token: record.token.to_owned(), reason };
    let mut task: Task = serde_json::from_slice(record.envelope)
        .map_err(|error| unreadable(unreadable_json(&error)))?;
    if task.task_id.as_str() != id {
        return Err(unreadable("the task's JSON carries another task's id".to_owned()));
    }
    if task.task_type != *lane.task_type() {
        let reason = "the task's JSON carries another task type than its queue";
        return Err(unreadable(reason.to_owned()));
    }
    task.deadline_at = record.deadline;
    // Counted from crashes and failures, not claims: a task that a stopping worker handed back has used no attempt.
    task.attempt = record.failures + record.crashes + 1;
    let left = Duration::from_millis(record.deadline.saturating_sub(now));
    Ok(Lease {
        task,
        token: record.token.to_owned(),
        failures: record.failures,
        crashes: record.crashes,
        deadline: sent_at + left,
        ends_at: sent_at + left.min(lease_time),
        read_ahead: record.claimed_at.is_none(),
    })
}

#[cfg(test)]
mod tests;
