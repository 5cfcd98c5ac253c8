//! Live tasks: those that have not ended.

use std::time::Duration;

use serde::Serialize;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::redis::keys::Keys;
use crate::redis::task_record::TaskRecord;
use crate::redis::time::millis;
use crate::task::{Lane, Task, TaskId, TaskStatus, TaskType};

/// A task that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveTask {
    /// Its id.
    pub task_id: TaskId,
    /// Its status.
    pub status: TaskStatus,
    /// The task; none when its JSON cannot be read.
    pub task: Option<Task>,
    /// Failed attempts.
    pub failures: u32,
    /// Workers that died while running it.
    pub crashes: u32,
    /// Whether its cancellation was requested while it runs.
    pub cancel_asked: bool,
    /// The worker that runs it.
    pub worker: Option<String>,
    /// How long it has run, in ms.
    pub running_ms: Option<u64>,
    /// When its next attempt is due, in ms from now; none unless it waits for one.
    pub next_attempt_ms: Option<u64>,
    /// Time left until its deadline, in ms.
    pub left_ms: u64,
}

impl TaskQueue {
    /// The lanes of a type, after the list was read again.
    pub(super) async fn listed_lanes_of(
        &self,
        task_type: &TaskType,
    ) -> Result<Vec<Lane>, RedisError> {
        self.lanes().await?;
        Ok(self.lanes_of(std::slice::from_ref(task_type)))
    }

    /// The clock of the lane's Redis server, in ms since 1970.
    pub(super) async fn now_ms(&self, lane: &Lane) -> Result<u64, RedisError> {
        let (seconds, micros): (u64, u64) = self
            .scripts
            .clock
            .key(self.keys.meta(lane))
            .run(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the clock"))?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// Live tasks of a type: running ones first, then ready ones in their order, then delayed ones.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn list(
        &self,
        task_type: &TaskType,
        max: usize,
    ) -> Result<Vec<LiveTask>, RedisError> {
        let mut tasks = Vec::new();
        let lanes = self.listed_lanes_of(task_type).await?;
        let indexes: [fn(&Keys, &Lane) -> String; 4] =
            [Keys::active, Keys::ahead, Keys::queue, Keys::delayed];
        // Plain loops: the future of a chain of iterators cannot be spawned.
        for index in indexes {
            for lane in &lanes {
                let room = isize::try_from(max - tasks.len()).unwrap_or(isize::MAX);
                if room == 0 {
                    return Ok(tasks);
                }
                let now = self.now_ms(lane).await?;
                tasks.extend(self.live(lane, &index(&self.keys, lane), now, room).await?);
            }
        }
        Ok(tasks)
    }

    /// A live task; none when it has ended or never existed.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn show(&self, id: &TaskId) -> Result<Option<LiveTask>, RedisError> {
        let Some(lane) = id.lane() else { return Ok(None) };
        let now = self.now_ms(&lane).await?;
        Ok(self.read_live(&lane, vec![id.as_str().to_owned()], now).await?.pop())
    }

    /// Lets a task that waits for its next attempt start it now. Whether it did wait for one.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Calling again is safe.
    pub async fn try_now(&self, id: &TaskId) -> Result<bool, RedisError> {
        let Some(lane) = id.lane() else { return Ok(false) };
        let waits = self.show(id).await?.is_some_and(|task| task.status == TaskStatus::Retrying);
        if !waits {
            return Ok(false);
        }
        // Due since 1970. A task that has left the index meanwhile is not put back into it.
        let changed: u64 = redis::cmd("ZADD")
            .arg(self.keys.delayed(&lane))
            .arg(&["XX", "CH", "0"])
            .arg(id.as_str())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("let a task be tried now"))?;
        if changed > 0 {
            self.wake(&lane).await?;
        }
        Ok(changed > 0)
    }

    pub(super) async fn live(
        &self,
        lane: &Lane,
        index: &str,
        now: u64,
        max: isize,
    ) -> Result<Vec<LiveTask>, RedisError> {
        let ids: Vec<Vec<u8>> = redis::cmd("ZRANGE")
            .arg(index)
            .arg(0)
            .arg(max - 1)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("list tasks"))?;
        let ids = ids.into_iter().filter_map(|id| String::from_utf8(id).ok()).collect();
        self.read_live(lane, ids, now).await
    }

    async fn read_live(
        &self,
        lane: &Lane,
        ids: Vec<String>,
        now: u64,
    ) -> Result<Vec<LiveTask>, RedisError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(self.keys.data(lane)).arg(&ids);
        pipe.cmd("ZMSCORE").arg(self.keys.delayed(lane)).arg(&ids);
        let (values, delayed): (Vec<Option<Vec<u8>>>, Vec<Option<f64>>) = pipe
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read tasks"))?;
        let rows = ids.into_iter().zip(values).zip(delayed);
        Ok(rows
            .filter_map(|((id, value), delayed)| {
                let value = value?;
                let record = TaskRecord::read(&value)?;
                let status = match record.claimed_at {
                    Some(_) => TaskStatus::Processing,
                    None if delayed.is_some() && record.failures > 0 => TaskStatus::Retrying,
                    None => TaskStatus::Pending,
                };
                Some(LiveTask {
                    task_id: id.parse().ok()?,
                    status,
                    task: serde_json::from_slice(record.envelope).ok(),
                    failures: record.failures,
                    crashes: record.crashes,
                    cancel_asked: record.cancel_requested,
                    worker: record.claimed_at.map(|_| record.worker.to_owned()),
                    running_ms: record.claimed_at.map(|at| now.saturating_sub(at)),
                    next_attempt_ms: delayed
                        .filter(|_| status == TaskStatus::Retrying)
                        .and_then(|at| Duration::try_from_secs_f64(at / 1_000.0).ok())
                        .map(|at| millis(at).saturating_sub(now)),
                    left_ms: record.deadline.saturating_sub(now),
                })
            })
            .collect())
    }
}
