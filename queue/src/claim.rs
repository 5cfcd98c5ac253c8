//! Claiming: a ready task becomes a lease.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::RedisError;
use crate::finish::FinishItem;
use crate::lease::Lease;
use crate::task::{Task, TaskResult, TaskType};
use crate::task_queue::{TaskQueue, millis};
use crate::wake::Waiter;

impl TaskQueue {
    /// Claims one ready task of `types`, waiting at most `timeout` for it.
    ///
    /// # Errors
    ///
    /// When Redis does not answer; nothing was claimed then, unless the answer was lost: such a lease ends by itself.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a future dropped after the script ran leaves a task leased until its lease ends.
    pub async fn get_task(
        &self,
        types: &[TaskType],
        worker: &str,
        timeout: Duration,
    ) -> Result<Option<Lease>, RedisError> {
        let mut waiter: Option<Waiter> = None;
        let until = Instant::now() + timeout;
        loop {
            if let Some(lease) = self.claim(types, worker, 1).await?.pop() {
                return Ok(Some(lease));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if waiter.is_none() {
                waiter = Some(Waiter::connect(self).await?);
            }
            if let Some(waiter) = &mut waiter {
                waiter.wait(types, left).await?;
            }
        }
    }

    /// Claims up to `max` ready tasks of `types` without waiting.
    ///
    /// A task whose JSON cannot be read is finished as failed on the spot and left out.
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
        for task_type in types {
            let room = max - leases.len();
            if room == 0 {
                break;
            }
            // Counted from before the script runs, so that our idea of the lease ends before Redis' does.
            let sent_at = Instant::now();
            let rows: Vec<ClaimedRow> = self
                .scripts
                .claim
                .key(self.keys.queue(task_type))
                .key(self.keys.active(task_type))
                .key(self.keys.delayed(task_type))
                .key(self.keys.deadline(task_type))
                .key(self.keys.data(task_type))
                .key(self.keys.meta(task_type))
                .key(self.keys.wake(task_type))
                .arg(room)
                .arg(millis(self.config.lease))
                .arg(worker)
                .invoke_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("claim tasks"))?;
            for row in rows {
                match read_claimed(row, task_type, sent_at) {
                    Ok(lease) => leases.push(lease),
                    Err(unreadable) => self.refuse_unreadable(task_type, &unreadable).await?,
                }
            }
        }
        Ok(leases)
    }

    async fn refuse_unreadable(
        &self,
        task_type: &TaskType,
        unreadable: &Unreadable,
    ) -> Result<(), RedisError> {
        tracing::warn!(
            task_id = %unreadable.id, task_type = %task_type, error = %unreadable.reason,
            "task refused: its JSON cannot be read"
        );
        let result = TaskResult::failure("invalid-task", unreadable.reason.clone());
        let item = FinishItem {
            id: &unreadable.id,
            token: &unreadable.token,
            op: "fail",
            result: &result,
            retry_ms: -1,
        };
        self.finish_items(task_type, &[item]).await?;
        Ok(())
    }
}

type ClaimedRow = (String, Vec<u8>, String, u32, u32, i64, u64);

struct Unreadable {
    id: String,
    token: String,
    reason: String,
}

fn read_claimed(
    row: ClaimedRow,
    task_type: &TaskType,
    sent_at: Instant,
) -> Result<Lease, Unreadable> {
    let (id, envelope, token, failures, crashes, left_ms, lease_ms) = row;
    let task = match serde_json::from_slice::<Task>(&envelope) {
        Ok(task) if task.task_id.as_str() != id => {
            Err("the task's JSON carries another task's id".to_owned())
        }
        Ok(task) if task.task_type != *task_type => {
            Err("the task's JSON carries another task type than its queue".to_owned())
        }
        Ok(task) => Ok(task),
        Err(error) => Err(format!("the task's JSON cannot be read: {error}")),
    };
    match task {
        Ok(mut task) => {
            // Crashes and failures, not claims: a task that was drained and handed back is not on its next attempt.
            task.attempt = failures + crashes + 1;
            Ok(Lease {
                task,
                token,
                failures,
                crashes,
                deadline: sent_at + Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)),
                ends_at: sent_at + Duration::from_millis(lease_ms),
            })
        }
        Err(reason) => Err(Unreadable { id, token, reason }),
    }
}
