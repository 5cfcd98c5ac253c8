//! Reading the history: search, one task's timeline, the counts, and deleting one person's entries.
//!
//! A search reads the stream in pages, newest first, and filters here. Redis is busy with one page at a time, so
//! tasks wait for a page and not for a search.

use std::collections::{HashMap, HashSet};

use redis::Value;
use serde::Serialize;

use crate::admin::LiveTask;
use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::history::buckets::{Bucket, Span};
use crate::history::filter::{Filter, Matcher};
use crate::history::record::{Fields, FinishedTask, Step, StepKind, task_and_person};
use crate::task::{TaskId, TaskStatus, now_ms};

/// Entries in one page.
const PAGE: usize = 250;
/// Buckets in one call.
const BUCKETS_AT_ONCE: usize = 120;
/// Clocks of processes may differ by so much from that of Redis.
const CLOCK_MARGIN_MS: u64 = 10 * 60 * 1_000;
/// For so long what a person's tasks in progress leave is kept out, in ms: longer than an answer is remembered (25 h).
const FORGOTTEN_MS: u64 = 26 * 3_600 * 1_000;

/// The history of finished tasks, for reading.
#[derive(Debug, Clone)]
pub struct History {
    queue: TaskQueue,
}

/// Finished tasks that a filter matches.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Page {
    /// Newest first.
    pub tasks: Vec<FinishedTask>,
    /// Where the next page begins; none when there are no more.
    pub next: Option<String>,
    /// Entries that were looked at.
    pub looked_at: u64,
}

/// All that is known about one task.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// The task, while it has not ended.
    pub live: Option<LiveTask>,
    /// Its end.
    pub finished: Option<FinishedTask>,
    /// What else happened, oldest first.
    pub steps: Vec<Step>,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineEvent {
    /// In ms since 1970.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: TimelineKind,
}

/// Kinds of [`TimelineEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TimelineKind {
    /// It was submitted.
    Submitted,
    /// An attempt began.
    Claimed {
        /// The worker.
        worker: String,
        /// The plugin's version, once the attempt has ended.
        version: Option<String>,
    },
    /// Something else, as it is stored.
    Step(StepKind),
    /// It ended.
    Ended {
        /// How.
        status: TaskStatus,
        /// The failure's code.
        code: Option<String>,
        /// The reason; none unless texts are kept.
        reason: Option<String>,
    },
}

impl Timeline {
    /// Its lines, oldest first.
    pub fn events(&self) -> Vec<TimelineEvent> {
        let mut events = Vec::new();
        let mut push = |at, what| events.push(TimelineEvent { at, what });
        if let Some(task) = &self.finished {
            push(task.submitted_at, TimelineKind::Submitted);
            if let Some(at) = task.claimed_at {
                let worker = task.worker.clone().unwrap_or_default();
                push(at, TimelineKind::Claimed { worker, version: task.version.clone() });
            }
        } else if let Some(task) = self.live.as_ref().and_then(|live| live.task.as_ref()) {
            push(task.submitted_at, TimelineKind::Submitted);
        }
        if let Some(LiveTask { worker: Some(worker), running_ms: Some(ms), .. }) = &self.live {
            let what = TimelineKind::Claimed { worker: worker.clone(), version: None };
            push(now_ms().saturating_sub(*ms), what);
        }
        for step in &self.steps {
            match &step.what {
                StepKind::Retried { worker, claimed_at, version, .. } => {
                    let worker = worker.clone();
                    let version = version.clone();
                    push(*claimed_at, TimelineKind::Claimed { worker, version });
                }
                StepKind::WorkerLost { worker, claimed_at } => {
                    let worker = worker.clone();
                    push(*claimed_at, TimelineKind::Claimed { worker, version: None });
                }
                StepKind::Delivered { .. } | StepKind::Undeliverable => {}
            }
            push(step.at, TimelineKind::Step(step.what.clone()));
        }
        if let Some(task) = &self.finished {
            let reason = task.error.clone();
            let status = task.status;
            let code = task.code.clone();
            push(task.ended_at, TimelineKind::Ended { status, code, reason });
        }
        // Stable: what has the same time stays in the order of a task's life, except that the answer follows the end.
        events.sort_by_key(|event| (event.at, order(&event.what)));
        events
    }
}

/// The order of what has the same time.
fn order(what: &TimelineKind) -> u8 {
    match what {
        TimelineKind::Submitted => 0,
        TimelineKind::Claimed { .. } => 1,
        TimelineKind::Step(StepKind::Retried { .. } | StepKind::WorkerLost { .. }) => 2,
        TimelineKind::Ended { .. } => 3,
        TimelineKind::Step(StepKind::Delivered { .. } | StepKind::Undeliverable) => 4,
    }
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
        let matcher = Matcher::new(filter);
        let key = self.queue.keys.history_ended();
        let mut newest = match (from, filter.to_ms) {
            (Some(next), _) => format!("({next}"),
            (None, Some(to)) => to.saturating_add(CLOCK_MARGIN_MS).to_string(),
            (None, None) => "+".to_owned(),
        };
        let oldest = filter.from_ms.unwrap_or(0).saturating_sub(CLOCK_MARGIN_MS).to_string();
        let mut page = Page::default();
        // A call whose reply was lost may have been repeated.
        let mut seen = HashSet::new();
        loop {
            let entries = self.read_page(&key, &newest, &oldest).await?;
            let Some(last) = entries.last() else { return Ok(page) };
            newest = format!("({}", last.id);
            let whole = entries.len() == PAGE;
            for entry in &entries {
                page.looked_at += 1;
                let Some(fields) = Fields::split(&entry.text) else { continue };
                if !matcher.matches(&fields) {
                    continue;
                }
                let Some(task) = fields.read() else { continue };
                if !seen.insert((task.task_id.clone(), task.ended_at)) {
                    continue;
                }
                page.tasks.push(task);
                if page.tasks.len() >= limit {
                    page.next = Some(entry.id.clone());
                    return Ok(page);
                }
            }
            if !whole {
                return Ok(page);
            }
        }
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
        let key = self.queue.keys.history_steps();
        let mut newest = "+".to_owned();
        loop {
            let entries = self.read_page(&key, &newest, &oldest).await?;
            let Some(last) = entries.last() else { break };
            newest = format!("({}", last.id);
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
            let mut newest = "+".to_owned();
            loop {
                let entries = self.read_page(&key, &newest, "-").await?;
                let Some(last) = entries.last() else { break };
                newest = format!("({}", last.id);
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

    /// Up to [`PAGE`] entries, newest first.
    async fn read_page(
        &self,
        key: &str,
        newest: &str,
        oldest: &str,
    ) -> Result<Vec<StoredEntry>, RedisError> {
        let found: Vec<Value> = redis::cmd("XREVRANGE")
            .arg(key)
            .arg(newest)
            .arg(oldest)
            .arg("COUNT")
            .arg(PAGE)
            .query_async(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("read the history"))?;
        Ok(found.into_iter().filter_map(StoredEntry::read).collect())
    }
}

/// An entry of one of the streams.
struct StoredEntry {
    id: String,
    text: String,
}

impl StoredEntry {
    /// Takes the reply apart without a copy: a search reads a hundred thousand of them.
    fn read(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()?
        else {
            return None;
        };
        let Some(Value::BulkString(text)) = fields.into_iter().nth(1) else { return None };
        // What nobody of this version wrote has no text, but it counts, so that the next page begins after it.
        let text = String::from_utf8(text).unwrap_or_default();
        Some(Self { id: String::from_utf8(id).ok()?, text })
    }
}
