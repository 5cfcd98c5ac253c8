//! Dead letters: tasks that failed for good.

use redis::streams::StreamRangeReply;
use serde::Serialize;

use crate::client::task_queue::TaskQueue;
use crate::error::{RedisError, SubmitError};
use crate::submit::Submitted;
use crate::task::{Lane, Task, TaskId, TaskResult, TaskType};

/// A task that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Its stream id, followed by `.PARTITION` when its type is partitioned.
    pub entry: String,
    /// The task; none when its JSON cannot be read.
    pub task: Option<Task>,
    /// Its result; none when the JSON cannot be read.
    pub result: Option<TaskResult>,
    /// Failed attempts.
    pub failures: u32,
    /// Workers that died while running it.
    pub crashes: u32,
    /// The last worker that ran it.
    pub worker: String,
}

/// Why a dead letter was not replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such entry.
    #[error("there is no dead letter `{entry}` of type `{task_type}`")]
    NotFound {
        /// The task type.
        task_type: TaskType,
        /// The entry.
        entry: String,
    },
    /// Its JSON cannot be read, so there is nothing to submit.
    #[error("the task of dead letter `{entry}` cannot be read")]
    Unreadable {
        /// The entry.
        entry: String,
    },
    /// The queue refused the task.
    #[error("dead letter `{entry}` was not accepted again")]
    Submit {
        /// The entry.
        entry: String,
        /// The reason.
        source: SubmitError,
    },
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl DeadLetter {
    /// When it became one, in milliseconds since 1970 by Redis' clock.
    pub fn at(&self) -> u64 {
        entry_time(&self.entry).0
    }

    /// The failure's code; none when there is no readable result.
    pub fn code(&self) -> Option<&str> {
        self.result.as_ref()?.code()
    }

    /// As [`TaskResult::failed_request`], of its result.
    pub fn failed_request(&self) -> Option<&str> {
        self.result.as_ref()?.failed_request()
    }
}

impl TaskQueue {
    /// The last dead letters of a type, newest first.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn dead_letters(
        &self,
        task_type: &TaskType,
        max: usize,
    ) -> Result<Vec<DeadLetter>, RedisError> {
        self.dead_letters_before(task_type, None, max).await
    }

    /// The next dead letters of a type that are older than `before`, newest first. Without it, or when it is no entry, the
    /// last ones.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn dead_letters_before(
        &self,
        task_type: &TaskType,
        before: Option<&str>,
        max: usize,
    ) -> Result<Vec<DeadLetter>, RedisError> {
        let before = before.filter(|entry| place(task_type, entry).is_some());
        let newest = before.map_or("+", |entry| entry.split_once('.').map_or(entry, |(id, _)| id));
        let mut letters = Vec::new();
        for lane in self.listed_lanes_of(task_type).await? {
            let read: StreamRangeReply = redis::cmd("XREVRANGE")
                .arg(self.keys.dead(&lane))
                .arg(newest)
                .arg("-")
                .arg("COUNT")
                // One more: `before` itself may be among them.
                .arg(max.saturating_add(1))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("read the dead letters"))?;
            letters.extend(read.ids.iter().map(|entry| dead_letter(&lane, entry)));
        }
        if let Some(before) = before {
            letters.retain(|letter| order(&letter.entry) < order(before));
        }
        letters.sort_by(|one, other| order(&other.entry).cmp(&order(&one.entry)));
        letters.truncate(max);
        Ok(letters)
    }

    /// The dead letter of a task, if it is among the last `max` of its type.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn dead_letter_of(
        &self,
        id: &TaskId,
        max: usize,
    ) -> Result<Option<DeadLetter>, RedisError> {
        let Some(lane) = id.lane() else { return Ok(None) };
        let letters = self.dead_letters(lane.task_type(), max).await?;
        let is_its = |letter: &DeadLetter| letter.task.as_ref().is_some_and(|it| it.task_id == *id);
        Ok(letters.into_iter().find(is_its))
    }

    /// One dead letter; none when there is no such entry.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn dead_letter(
        &self,
        task_type: &TaskType,
        entry: &str,
    ) -> Result<Option<DeadLetter>, RedisError> {
        let Some((lane, id)) = place(task_type, entry) else { return Ok(None) };
        let read: StreamRangeReply = redis::cmd("XRANGE")
            .arg(self.keys.dead(&lane))
            .arg(id)
            .arg(id)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read a dead letter"))?;
        Ok(read.ids.first().map(|found| dead_letter(&lane, found)))
    }

    /// Removes a dead letter for good. Whether there was one.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn discard(&self, task_type: &TaskType, entry: &str) -> Result<bool, RedisError> {
        let Some((lane, id)) = place(task_type, entry) else { return Ok(false) };
        let removed: u64 = redis::cmd("XDEL")
            .arg(self.keys.dead(&lane))
            .arg(id)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("remove a dead letter"))?;
        Ok(removed > 0)
    }

    /// Submits a dead letter's task again, as a new task with the same params and `reply_to`, and removes the letter.
    /// Returns the new task's id.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; the letter is kept.
    pub async fn replay(&self, task_type: &TaskType, entry: &str) -> Result<TaskId, ReplayError> {
        let not_found = || {
            let task_type = task_type.clone();
            let entry = entry.to_owned();
            ReplayError::NotFound { task_type, entry }
        };
        let (lane, id) = place(task_type, entry).ok_or_else(not_found)?;
        let letter = self.dead_letter(task_type, entry).await?.ok_or_else(not_found)?;
        let Some(mut task) = letter.task else {
            return Err(ReplayError::Unreadable { entry: letter.entry });
        };
        // Derived from the entry, so that two replays at the same time give one task.
        task.task_id = TaskId::from_cause(&lane, &format!("replay:{entry}"));
        match self.submit_task(&task).await {
            Ok(Submitted::New { .. } | Submitted::Already | Submitted::Duplicate { .. }) => {}
            Err(source) => return Err(ReplayError::Submit { entry: letter.entry, source }),
        }
        let _removed: u64 = redis::cmd("XDEL")
            .arg(self.keys.dead(&lane))
            .arg(id)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("remove a dead letter"))?;
        Ok(task.task_id)
    }
}

fn dead_letter(lane: &Lane, entry: &redis::streams::StreamId) -> DeadLetter {
    let text = |name: &str| entry.get::<String>(name).unwrap_or_default();
    DeadLetter {
        entry: match lane.partition() {
            None => entry.id.clone(),
            Some(partition) => format!("{}.{partition}", entry.id),
        },
        task: serde_json::from_str(&text("task")).ok(),
        result: serde_json::from_str(&text("result")).ok(),
        failures: text("failures").parse().unwrap_or(0),
        crashes: text("crashes").parse().unwrap_or(0),
        worker: text("worker"),
    }
}

/// The lane and the stream id of an entry; none when it is neither. Redis would take `-` or `5` for a range.
fn place<'a>(task_type: &TaskType, entry: &'a str) -> Option<(Lane, &'a str)> {
    let (id, partition) = entry.split_once('.').unwrap_or((entry, ""));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (time, number) = id.split_once('-')?;
    let lane = match partition {
        "" => Lane::whole(task_type),
        partition => format!("{task_type}.{partition}").parse().ok()?,
    };
    (is_number(time) && is_number(number)).then_some((lane, id))
}

/// The order of entries by time; those of two lanes may have the same.
fn order(entry: &str) -> (u64, u64, &str) {
    let (time, number) = entry_time(entry);
    (time, number, entry.split_once('.').map_or("", |(_, partition)| partition))
}

/// The time in a stream entry's id, and its number within that millisecond.
pub(super) fn entry_time(entry: &str) -> (u64, u64) {
    let (id, _) = entry.split_once('.').unwrap_or((entry, ""));
    let (time, number) = id.split_once('-').unwrap_or((id, ""));
    (time.parse().unwrap_or(0), number.parse().unwrap_or(0))
}
