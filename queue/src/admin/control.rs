//! What an operator sees and does: counts, ages, single tasks, pause, cancel, dead letters.
//!
//! Looking is made of plain reads, so two numbers may be from two moments. [`TaskQueue::cancel`] lies beside submit and
//! claim: it ends a task.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use redis::streams::StreamRangeReply;
use serde::Serialize;

use crate::client::task_queue::{TaskQueue, millis};
use crate::error::{RedisError, SubmitError};
use crate::redis::keys::Keys;
use crate::redis::record::Stored;
use crate::submit::Submitted;
use crate::task::lane::Lane;
use crate::task::{Task, TaskId, TaskResult, TaskStatus, TaskType};

/// Running tasks that one look goes through.
const LOOK_AT_MOST: isize = 1_000;

/// One task type at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeStats {
    /// The type.
    pub task_type: TaskType,
    /// Waits for a worker.
    pub ready: u64,
    /// Waits for its time: retries and scheduled tasks.
    pub delayed: u64,
    /// Runs.
    pub active: u64,
    /// Has run for longer than whoever asks holds right.
    pub stuck: u64,
    /// Answers that wait for a coordinator.
    pub replies: u64,
    /// Dead letters.
    pub dead: u64,
    /// Age of the oldest task that is not answered, in ms; 0 without one.
    pub oldest_ms: u64,
    /// Whether an operator paused it.
    pub paused: bool,
    /// Whether a living worker offers it.
    pub offered: bool,
    /// What happened since the keys were made: `submitted completed failed timeout cancelled retried lost stale dead
    /// duplicates rejected_full rejected_user delivered undeliverable`.
    pub counters: BTreeMap<String, u64>,
}

/// One task that is not answered yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveTask {
    /// Its id.
    pub task_id: TaskId,
    /// Where it is.
    pub status: TaskStatus,
    /// What it is; none when its JSON cannot be read.
    pub task: Option<Task>,
    /// How often it failed.
    pub failures: u32,
    /// How often a worker died with it.
    pub crashes: u32,
    /// Whether somebody asked to cancel it while it runs.
    pub cancel_asked: bool,
    /// Who runs it.
    pub worker: Option<String>,
    /// How long it has run, in ms.
    pub running_ms: Option<u64>,
    /// What is left until its sender is told that it took too long, in ms.
    pub left_ms: u64,
}

/// A task that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Its place in the stream, and of which part when its type is divided.
    pub entry: String,
    /// What it was; none when its JSON cannot be read.
    pub task: Option<Task>,
    /// How it ended.
    pub result: Option<TaskResult>,
    /// How often it failed.
    pub failures: u32,
    /// How often a worker died with it.
    pub crashes: u32,
    /// Who held it last.
    pub worker: String,
}

/// Why a dead letter was not replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is none at that place.
    #[error("there is no dead letter `{entry}` of type `{task_type}`")]
    NotFound {
        /// The type.
        task_type: TaskType,
        /// The place.
        entry: String,
    },
    /// Its JSON cannot be read, so there is nothing to submit.
    #[error("the task of dead letter `{entry}` cannot be read")]
    Unreadable {
        /// The place.
        entry: String,
    },
    /// It was refused.
    #[error("dead letter `{entry}` was not accepted again")]
    Submit {
        /// The place.
        entry: String,
        /// Why.
        source: SubmitError,
    },
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl TaskQueue {
    /// Stops handing out tasks of a type, or goes on. What runs runs on; what waits waits, until its deadline.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn set_paused(&self, task_type: &TaskType, paused: bool) -> Result<(), RedisError> {
        let whole = Lane::whole(task_type);
        self.remember_lane(&whole).await.map_err(RedisError::during("pause a type"))?;
        for lane in self.known_lanes_of(task_type).await? {
            let () = redis::cmd("HSET")
                .arg(self.keys.meta(&lane))
                .arg("paused")
                .arg(i32::from(paused))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("pause a type"))?;
            if !paused {
                self.wake(&lane).await?;
            }
        }
        Ok(())
    }

    /// All task types at a glance. A task that has run for longer than `stuck_after` counts as stuck.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn stats(&self, stuck_after: Duration) -> Result<Vec<TypeStats>, RedisError> {
        let offered = self.offered_types().await?;
        let mut types: BTreeMap<TaskType, TypeStats> = BTreeMap::new();
        for lane in self.lanes().await? {
            let offered = offered.contains(lane.task_type());
            let stats = self.lane_stats(&lane, offered, stuck_after).await?;
            match types.entry(lane.task_type().clone()) {
                Entry::Vacant(first) => drop(first.insert(stats)),
                Entry::Occupied(mut sum) => sum.get_mut().add(stats),
            }
        }
        Ok(types.into_values().collect())
    }

    /// The lanes of a type that Redis knows.
    async fn known_lanes_of(&self, task_type: &TaskType) -> Result<Vec<Lane>, RedisError> {
        self.lanes().await?;
        Ok(self.lanes_of(std::slice::from_ref(task_type)))
    }

    async fn lane_stats(
        &self,
        lane: &Lane,
        offered: bool,
        stuck_after: Duration,
    ) -> Result<TypeStats, RedisError> {
        type Counts = (u64, u64, u64, u64, u64, Vec<(String, u64)>, BTreeMap<String, String>);
        let keys = &self.keys;
        let (ready, delayed, active, replies, dead, oldest, meta): Counts = redis::pipe()
            .zcard(keys.queue(lane))
            .zcard(keys.delayed(lane))
            .zcard(keys.active(lane))
            .xlen(keys.replies(lane))
            .xlen(keys.dead(lane))
            .zrange_withscores(keys.deadline(lane), 0, 0)
            .hgetall(keys.meta(lane))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("count a type's tasks"))?;
        let now = self.now_ms(lane).await?;
        let running = self.live(lane, &keys.active(lane), now, LOOK_AT_MOST).await?;
        let long = millis(stuck_after);
        let stuck = running.iter().filter(|task| task.running_ms.is_some_and(|ms| long < ms));
        let submitted_at =
            |deadline: u64| deadline.saturating_sub(millis(self.config.time_to_live));
        let oldest_ms = oldest.first().map_or(0, |(_, at)| now.saturating_sub(submitted_at(*at)));
        let counters = meta
            .iter()
            .filter(|(name, _)| !SWITCHES.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?)))
            .collect();
        Ok(TypeStats {
            ready,
            delayed,
            active,
            stuck: stuck.count() as u64,
            replies,
            dead,
            oldest_ms,
            paused: meta.get("paused").is_some_and(|word| word == "1"),
            offered,
            counters,
            task_type: lane.task_type().clone(),
        })
    }

    /// The clock in ms since 1970 of the Redis that holds a lane.
    pub(crate) async fn now_ms(&self, lane: &Lane) -> Result<u64, RedisError> {
        let (seconds, micros): (u64, u64) = self
            .scripts
            .clock
            .key(self.keys.meta(lane))
            .run(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the clock"))?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// Tasks of a type that are not answered: running ones first, then the next in turn, then delayed ones.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn list(
        &self,
        task_type: &TaskType,
        max: usize,
    ) -> Result<Vec<LiveTask>, RedisError> {
        let mut tasks = Vec::new();
        let lanes = self.known_lanes_of(task_type).await?;
        let indexes: [fn(&Keys, &Lane) -> String; 3] = [Keys::active, Keys::queue, Keys::delayed];
        for (index, lane) in
            indexes.iter().flat_map(|index| lanes.iter().map(move |lane| (index, lane)))
        {
            let room = isize::try_from(max - tasks.len()).unwrap_or(isize::MAX);
            if room == 0 {
                break;
            }
            let now = self.now_ms(lane).await?;
            tasks.extend(self.live(lane, &index(&self.keys, lane), now, room).await?);
        }
        Ok(tasks)
    }

    /// One task that is not answered; none when it has ended or never was.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn show(&self, id: &TaskId) -> Result<Option<LiveTask>, RedisError> {
        let Some(lane) = id.lane() else { return Ok(None) };
        let now = self.now_ms(&lane).await?;
        Ok(self.read_live(&lane, vec![id.as_str().to_owned()], now).await?.pop())
    }

    async fn live(
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
                let stored = Stored::read(&value)?;
                let status = match stored.claimed_at {
                    Some(_) => TaskStatus::Processing,
                    None if delayed.is_some() && 0 < stored.failures => TaskStatus::Retrying,
                    None => TaskStatus::Pending,
                };
                Some(LiveTask {
                    task_id: id.parse().ok()?,
                    status,
                    task: serde_json::from_slice(stored.envelope).ok(),
                    failures: stored.failures,
                    crashes: stored.crashes,
                    cancel_asked: stored.cancel_asked,
                    worker: stored.claimed_at.map(|_| stored.worker.to_owned()),
                    running_ms: stored.claimed_at.map(|at| now.saturating_sub(at)),
                    left_ms: stored.deadline.saturating_sub(now),
                })
            })
            .collect())
    }

    /// The last dead letters of a type, newest first.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn dead_letters(
        &self,
        task_type: &TaskType,
        max: usize,
    ) -> Result<Vec<DeadLetter>, RedisError> {
        let mut letters = Vec::new();
        for lane in self.known_lanes_of(task_type).await? {
            let read: StreamRangeReply = redis::cmd("XREVRANGE")
                .arg(self.keys.dead(&lane))
                .arg("+")
                .arg("-")
                .arg("COUNT")
                .arg(max)
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("read the dead letters"))?;
            letters.extend(read.ids.iter().map(|entry| dead_letter(&lane, entry)));
        }
        // An entry's id begins with its time.
        letters.sort_by_key(|letter| Reverse(entry_time(&letter.entry)));
        letters.truncate(max);
        Ok(letters)
    }

    /// Submits a dead letter's task again, as a new task with the same params and addressee, and removes the letter.
    /// Gives the new task's id.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; the letter stays where it is.
    pub async fn replay(&self, task_type: &TaskType, entry: &str) -> Result<TaskId, ReplayError> {
        let not_found = || {
            let (task_type, entry) = (task_type.clone(), entry.to_owned());
            ReplayError::NotFound { task_type, entry }
        };
        let (id, part) = entry.split_once('.').unwrap_or((entry, ""));
        let lane = match part {
            "" => Lane::whole(task_type),
            part => match format!("{task_type}.{part}").parse() {
                Ok(lane) => lane,
                Err(_) => return Err(not_found()),
            },
        };
        let read: StreamRangeReply = redis::cmd("XRANGE")
            .arg(self.keys.dead(&lane))
            .arg(id)
            .arg(id)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read a dead letter"))?;
        let letter = read.ids.first().map(|found| dead_letter(&lane, found));
        let letter = letter.ok_or_else(not_found)?;
        let Some(mut task) = letter.task else {
            return Err(ReplayError::Unreadable { entry: letter.entry });
        };
        // Made from the letter's place, so that replaying it twice at once is one task.
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

impl TypeStats {
    /// Adds another lane of the same type.
    fn add(&mut self, other: Self) {
        self.ready += other.ready;
        self.delayed += other.delayed;
        self.active += other.active;
        self.stuck += other.stuck;
        self.replies += other.replies;
        self.dead += other.dead;
        self.oldest_ms = self.oldest_ms.max(other.oldest_ms);
        self.paused &= other.paused;
        for (name, count) in other.counters {
            *self.counters.entry(name).or_default() += count;
        }
    }
}

/// Fields of `meta` that are no counters.
const SWITCHES: &[&str] =
    &["paused", "max_active", "max_pending", "user_cap", "vtime", "alive", "grace", "not_before"];

fn dead_letter(lane: &Lane, entry: &redis::streams::StreamId) -> DeadLetter {
    let text = |name: &str| entry.get::<String>(name).unwrap_or_default();
    DeadLetter {
        entry: match lane.partition() {
            None => entry.id.clone(),
            Some(part) => format!("{}.{part}", entry.id),
        },
        task: serde_json::from_str(&text("task")).ok(),
        result: serde_json::from_str(&text("result")).ok(),
        failures: text("failures").parse().unwrap_or(0),
        crashes: text("crashes").parse().unwrap_or(0),
        worker: text("worker"),
    }
}

/// The time in a stream entry's id, and its number within that millisecond.
fn entry_time(entry: &str) -> (u64, u64) {
    let (id, _) = entry.split_once('.').unwrap_or((entry, ""));
    let (time, number) = id.split_once('-').unwrap_or((id, ""));
    (time.parse().unwrap_or(0), number.parse().unwrap_or(0))
}
