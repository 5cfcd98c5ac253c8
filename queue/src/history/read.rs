//! Reading the history: search, one task's timeline, the counts, and deleting one person's entries.
//!
//! Redis is busy with one page at a time, so tasks wait for a page and not for a search. Pages come over connections of their
//! own, so that the answers to other commands of this process do not wait until a page is parsed.

use std::collections::HashMap;

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::history::buckets::{Bucket, Span};
use crate::history::filter::Filter;
use crate::history::record::{Step, task_and_person};
use crate::history::search::{self, CLOCK_MARGIN_MS, Page};
use crate::history::stream::{BothSides, NEWEST, OLDEST, PAGE, Stream};
use crate::history::timeline::Timeline;
use crate::task::{TaskId, now_ms};

/// Buckets in one call.
const BUCKETS_AT_ONCE: usize = 120;
/// For so long what a person's tasks in progress leave is kept out, in ms: longer than an answer is remembered (25 h).
const FORGOTTEN_MS: u64 = 26 * 3_600 * 1_000;

/// The history of finished tasks, for reading.
#[derive(Debug, Clone)]
pub struct History {
    queue: TaskQueue,
}

impl TaskQueue {
    /// The history of finished tasks, for reading. It is empty where no process writes it.
    pub fn history(&self) -> History {
        History { queue: self.clone() }
    }

    /// Entries of the history that this process dropped since its start, because Redis was full or did not take them.
    pub fn history_dropped(&self) -> u64 {
        self.history.as_ref().map_or(0, |buffer| buffer.dropped())
    }
}

impl History {
    /// The newest `limit` finished tasks that the filter matches, from where another page ended.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn find(
        &self,
        filter: &Filter,
        limit: usize,
        from: Option<&str>,
    ) -> Result<Page, RedisError> {
        let streams = self.streams(&self.queue.keys.history_ended()).await?;
        search::find(streams, filter, limit, from).await
    }

    /// All that is known about a task: its end and its steps, or the live task.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn task(&self, id: &TaskId) -> Result<Timeline, RedisError> {
        self.task_since(id, 0).await
    }

    /// All that is known about a task that was not over before `since_ms`. The later that is, the less is read.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn task_since(&self, id: &TaskId, since_ms: u64) -> Result<Timeline, RedisError> {
        let live = self.queue.show(id).await?;
        let from_ms = Some(since_ms);
        let filter = Filter { task_id: Some(id.to_string()), from_ms, ..Filter::default() };
        let finished = match live {
            Some(_) => None,
            None => self.find(&filter, 1, None).await?.tasks.pop(),
        };
        let submitted = finished
            .as_ref()
            .map(|task| task.submitted_at)
            .or_else(|| live.as_ref().and_then(|live| Some(live.task.as_ref()?.submitted_at)));
        let oldest = submitted.unwrap_or(since_ms).saturating_sub(CLOCK_MARGIN_MS).to_string();
        let mut steps = Vec::new();
        let stream = self.streams(&self.queue.keys.history_steps()).await?.newest;
        let mut newest = NEWEST.to_owned();
        loop {
            let entries = stream.newest_first(&newest, &oldest).await?;
            let Some(last) = entries.last() else { break };
            newest = last.excluded();
            let own = entries.iter().filter(|entry| {
                task_and_person(&entry.text).is_some_and(|(task_id, _)| task_id == id.as_str())
            });
            steps.extend(own.filter_map(|entry| Step::read(&entry.text)));
            if entries.len() < PAGE {
                break;
            }
        }
        steps.sort_by_key(|step| step.at);
        steps.dedup();
        Ok(Timeline { live, finished, steps })
    }

    /// Deletes what the history has of a person, and keeps out what their tasks in progress would add. Returns how many entries
    /// were deleted.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Calling again is safe.
    pub async fn forget_person(&self, user_id: i64) -> Result<u64, RedisError> {
        let keys = &self.queue.keys;
        let connection = &mut self.queue.connection.clone();
        let forgotten = keys.history_forgotten();
        let now = now_ms();
        let note = (now, user_id);
        let () = self
            .queue
            .write_even_when_full("ZADD", &forgotten, note)
            .await
            .map_err(RedisError::during("note that a person is forgotten"))?;
        let old: Vec<Vec<u8>> = redis::pipe()
            .cmd("PEXPIRE")
            .arg(&forgotten)
            .arg(FORGOTTEN_MS)
            .ignore()
            .cmd("ZRANGEBYSCORE")
            .arg(&forgotten)
            .arg("-inf")
            .arg(now.saturating_sub(FORGOTTEN_MS))
            .query_async::<(Vec<Vec<u8>>,)>(connection)
            .await
            .map_err(RedisError::during("note that a person is forgotten"))?
            .0;
        if !old.is_empty() {
            let () = redis::cmd("ZREM")
                .arg(&forgotten)
                .arg(old)
                .query_async(connection)
                .await
                .map_err(RedisError::during("note that a person is forgotten"))?;
        }
        let user_id = user_id.to_string();
        let mut deleted = 0;
        for key in [keys.history_ended(), keys.history_steps()] {
            let stream = self.streams(&key).await?.newest;
            let mut newest = NEWEST.to_owned();
            loop {
                let entries = stream.newest_first(&newest, OLDEST).await?;
                let Some(last) = entries.last() else { break };
                newest = last.excluded();
                let of_person = entries.iter().filter(|entry| {
                    task_and_person(&entry.text).is_some_and(|(_, person)| person == user_id)
                });
                let ids: Vec<&str> = of_person.map(|entry| entry.id.as_str()).collect();
                if !ids.is_empty() {
                    let count: u64 = redis::cmd("XDEL")
                        .arg(&key)
                        .arg(ids)
                        .query_async(connection)
                        .await
                        .map_err(RedisError::during("delete a person's history"))?;
                    deleted += count;
                }
                if entries.len() < PAGE {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    /// How many finished tasks the history has.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn count(&self) -> Result<u64, RedisError> {
        redis::cmd("XLEN")
            .arg(self.queue.keys.history_ended())
            .query_async(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("count the history"))
    }

    /// The counts of each minute or hour from `from_ms` until before `to_ms`, oldest first. One without a finished task has no
    /// types.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn buckets(
        &self,
        span: Span,
        from_ms: u64,
        to_ms: u64,
    ) -> Result<Vec<Bucket>, RedisError> {
        let kept = now_ms().saturating_sub(span.kept_ms() + span.ms());
        let first = from_ms.max(kept) / span.ms();
        let end = to_ms.min(now_ms() + CLOCK_MARGIN_MS).div_ceil(span.ms());
        let numbers: Vec<u64> = (first..end).collect();
        let mut buckets = Vec::with_capacity(numbers.len());
        for numbers in numbers.chunks(BUCKETS_AT_ONCE) {
            let mut pipe = redis::pipe();
            for number in numbers {
                pipe.cmd("HGETALL").arg(self.queue.keys.history_counts(span.letter(), *number));
            }
            let found: Vec<HashMap<Vec<u8>, Vec<u8>>> = pipe
                .query_async(&mut self.queue.connection.clone())
                .await
                .map_err(RedisError::during("read the counts of finished tasks"))?;
            let read = numbers.iter().zip(found);
            buckets.extend(read.map(|(number, fields)| Bucket::read(number * span.ms(), &fields)));
        }
        Ok(buckets)
    }

    /// A stream of the history, on the connections for reading it.
    async fn streams(&self, key: &str) -> Result<BothSides<Stream>, RedisError> {
        let connections = self.queue.history_connections().await;
        let BothSides { newest, oldest } =
            connections.map_err(RedisError::during("connect to read the history"))?;
        let on = |connection| Stream { connection, key: key.to_owned() };
        Ok(BothSides { newest: on(newest), oldest: on(oldest) })
    }
}
