//! The queue itself: submit, claim, renew, finish, look.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionManager;
use tokio::time::Instant;

use crate::config::QueueConfig;
use crate::connection::{RedisServer, check_server};
use crate::error::{ConnectError, RedisError, SubmitError};
use crate::keys::Keys;
use crate::lease::{Finish, Finished, Lease, Renewal};
use crate::scripts::Scripts;
use crate::task::{Task, TaskId, TaskResult, TaskStatus, TaskType, now_ms};

/// Longest wait in one blocking command; longer waits are made of several.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);

/// What `submit_task` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// Accepted now.
    New {
        /// Tasks of the same type that were waiting before it.
        ahead: u64,
    },
    /// The same id was accepted before: nothing changed.
    Already,
}

/// A handle on the queue. Cloning is cheap; all clones share one connection for short commands.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    pub(crate) server: RedisServer,
    pub(crate) connection: ConnectionManager,
    pub(crate) keys: Keys,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) config: Arc<QueueConfig>,
    known_types: Arc<Mutex<HashSet<TaskType>>>,
}

impl TaskQueue {
    /// Connects and checks that the server can keep the promises.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], each with what to do.
    pub async fn connect(url: &str, config: QueueConfig) -> Result<Self, ConnectError> {
        let server = RedisServer::new(url)?;
        let mut connection = server.shared().await?;
        check_server(&mut connection).await?;
        Ok(Self {
            server,
            connection,
            keys: config.keys(),
            scripts: Arc::new(Scripts::new()),
            config: Arc::new(config),
            known_types: Arc::default(),
        })
    }

    /// The key names in use.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The limits and times in use.
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// The connection for short commands, for data that belongs to the caller (sessions, caches).
    pub fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// Accepts a task. The same id is accepted once, however often it is submitted.
    ///
    /// # Errors
    ///
    /// - [`SubmitError::QueueFull`], [`SubmitError::UserLimit`][]: try later.
    /// - [`SubmitError::TooLarge`][]: do not try again.
    /// - [`SubmitError::Redis`][]: unknown whether it was accepted; submit it again.
    pub async fn submit_task(&self, task: &Task) -> Result<Submitted, SubmitError> {
        self.submit_delayed(task, Duration::ZERO).await
    }

    /// Accepts a task that becomes ready after `delay`. Its time to live begins when it is submitted.
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::submit_task`].
    pub async fn submit_delayed(
        &self,
        task: &Task,
        delay: Duration,
    ) -> Result<Submitted, SubmitError> {
        let mut task = task.clone();
        task.submitted_at = now_ms();
        task.deadline_at = task.submitted_at.saturating_add(millis(self.config.time_to_live));
        let envelope = serde_json::to_string(&task).map_err(SubmitError::Json)?;
        if self.config.max_task_bytes < envelope.len() {
            let (bytes, limit) = (envelope.len(), self.config.max_task_bytes);
            return Err(SubmitError::TooLarge { bytes, limit });
        }
        self.remember_type(&task.task_type).await.map_err(SubmitError::Redis)?;
        let task_type = &task.task_type;
        let mut script = self.scripts.submit.prepare_invoke();
        script
            .key(self.keys.queue(task_type))
            .key(self.keys.delayed(task_type))
            .key(self.keys.deadline(task_type))
            .key(self.keys.data(task_type))
            .key(self.keys.users(task_type))
            .key(self.keys.meta(task_type))
            .key(self.keys.wake(task_type))
            .key(self.keys.status(&task.task_id))
            .key(self.keys.reply(&task.task_id))
            .arg(1)
            .arg(self.config.max_pending)
            .arg(self.config.user_cap)
            .arg(self.config.keep_ledger.as_secs())
            .arg(task.task_id.as_str())
            .arg(&envelope)
            .arg(task.user_id)
            .arg(0) // The interactive band.
            .arg(millis(self.config.time_to_live))
            .arg(millis(delay))
            .arg(i32::from(task.reply_to.is_some()));
        let replies: Vec<Vec<String>> =
            script.invoke_async(&mut self.connection.clone()).await.map_err(SubmitError::Redis)?;
        let words: Vec<&str> = replies.first().into_iter().flatten().map(String::as_str).collect();
        let number = |text: &str| text.parse().unwrap_or_default();
        match *words.as_slice() {
            ["OK", ahead] => Ok(Submitted::New { ahead: number(ahead) }),
            ["QUEUE_FULL", pending] => {
                Err(SubmitError::QueueFull { task_type: task.task_type, pending: number(pending) })
            }
            ["USER_LIMIT", live] => {
                Err(SubmitError::UserLimit { task_type: task.task_type, live: number(live) })
            }
            _ => Ok(Submitted::Already),
        }
    }

    /// Adds a type to the set that sweepers and coordinators look through; once per process and type.
    pub(crate) async fn remember_type(&self, task_type: &TaskType) -> redis::RedisResult<()> {
        let known = |types: &Mutex<HashSet<TaskType>>| {
            types.lock().unwrap_or_else(PoisonError::into_inner).contains(task_type)
        };
        if known(&self.known_types) {
            return Ok(());
        }
        let () = redis::cmd("SADD")
            .arg(self.keys.types())
            .arg(task_type.as_str())
            .query_async(&mut self.connection.clone())
            .await?;
        self.known_types.lock().unwrap_or_else(PoisonError::into_inner).insert(task_type.clone());
        Ok(())
    }

    /// All task types that were ever submitted or offered.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn task_types(&self) -> Result<Vec<TaskType>, RedisError> {
        let names: Vec<String> = redis::cmd("SMEMBERS")
            .arg(self.keys.types())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("list the task types"))?;
        let mut types: Vec<TaskType> =
            names.into_iter().filter_map(|name| name.parse().ok()).collect();
        types.sort();
        Ok(types)
    }

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
        let mut waiter = None;
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

    /// Ends leases and stores their results, or sends the tasks back.
    ///
    /// One answer per item in the same order. [`Finished::Stale`] means that the result was refused because the lease
    /// had passed on; drop it.
    ///
    /// # Errors
    ///
    /// When Redis does not answer. Calling again is safe: what was stored comes back as [`Finished::Stale`].
    pub async fn store_results(
        &self,
        items: &[(Lease, Finish, TaskResult)],
    ) -> Result<Vec<Finished>, RedisError> {
        let mut finished = vec![Finished::Stale; items.len()];
        let mut types: Vec<&TaskType> =
            items.iter().map(|(lease, _, _)| &lease.task.task_type).collect();
        types.sort();
        types.dedup();
        for task_type in types {
            let (places, batch): (Vec<usize>, Vec<FinishItem<'_>>) = items
                .iter()
                .enumerate()
                .filter(|(_, (lease, _, _))| lease.task.task_type == *task_type)
                .map(|(place, (lease, finish, result))| {
                    let item = FinishItem {
                        id: lease.task.task_id.as_str(),
                        token: &lease.token,
                        op: finish.op(),
                        result,
                        retry_ms: finish.retry_ms(),
                    };
                    (place, item)
                })
                .unzip();
            let words = self.finish_items(task_type, &batch).await?;
            for (place, word) in places.into_iter().zip(words) {
                if let Some(slot) = finished.get_mut(place) {
                    *slot = Finished::from_reply(&word);
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
        task_type: &TaskType,
        items: &[FinishItem<'_>],
    ) -> Result<Vec<String>, RedisError> {
        let mut script = self.scripts.finish.prepare_invoke();
        script
            .key(self.keys.queue(task_type))
            .key(self.keys.active(task_type))
            .key(self.keys.delayed(task_type))
            .key(self.keys.deadline(task_type))
            .key(self.keys.data(task_type))
            .key(self.keys.users(task_type))
            .key(self.keys.meta(task_type))
            .key(self.keys.wake(task_type))
            .key(self.keys.replies(task_type))
            .key(self.keys.dead(task_type))
            .arg(items.len())
            .arg(self.config.keep_results.as_secs())
            .arg(self.config.max_crashes)
            .arg(self.config.keep_dead)
            .arg(self.keys.done_channel_prefix());
        for item in items {
            // The id came from Redis or from a checked task; a text that is no id at all has no keys of its own.
            let id: TaskId = item.id.parse().unwrap_or_else(|_| TaskId::new(task_type));
            let result = serde_json::to_string(item.result).unwrap_or_else(|_| {
                r#"{"success":false,"data":null,"error":"the result cannot be written as JSON","metadata":{"code":"invalid-output","retryable":false},"completed_at":0}"#.to_owned()
            });
            script
                .key(self.keys.status(&id))
                .key(self.keys.result(&id))
                .arg(item.id)
                .arg(item.token)
                .arg(item.op)
                .arg(result)
                .arg(item.retry_ms);
        }
        script
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("finish tasks"))
    }

    /// Renews leases; one answer per lease in the same order.
    ///
    /// # Errors
    ///
    /// When Redis does not answer; the leases may or may not have been renewed.
    pub async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewal>, RedisError> {
        let mut renewals = vec![Renewal::Lost; leases.len()];
        let mut types: Vec<&TaskType> = leases.iter().map(|lease| &lease.task.task_type).collect();
        types.sort();
        types.dedup();
        for task_type in types {
            let mut script = self.scripts.heartbeat.prepare_invoke();
            script
                .key(self.keys.active(task_type))
                .key(self.keys.deadline(task_type))
                .key(self.keys.data(task_type))
                .arg(millis(self.config.lease));
            let mut places = Vec::new();
            for (place, lease) in leases.iter().enumerate() {
                if lease.task.task_type == *task_type {
                    script.arg(lease.task.task_id.as_str()).arg(&lease.token);
                    places.push(place);
                }
            }
            let answers: Vec<u8> = script
                .invoke_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("renew leases"))?;
            for (place, answer) in places.into_iter().zip(answers) {
                if let Some(slot) = renewals.get_mut(place) {
                    *slot = match answer {
                        1 => Renewal::Renewed,
                        2 => Renewal::CancelRequested,
                        _ => Renewal::Lost,
                    };
                }
            }
        }
        Ok(renewals)
    }

    /// Tasks of `task_type` that wait: ready ones and those with a delay.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn queue_size(&self, task_type: &TaskType) -> Result<u64, RedisError> {
        let (ready, delayed): (u64, u64) = redis::pipe()
            .zcard(self.keys.queue(task_type))
            .zcard(self.keys.delayed(task_type))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("count the waiting tasks"))?;
        Ok(ready + delayed)
    }

    /// Where a task is. None for an id that was never seen, or that ended more than five minutes ago.
    ///
    /// The stored word knows no `processing`: that a task runs is seen from its lease, which saves one write per task.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn task_status(&self, id: &TaskId) -> Result<Option<TaskStatus>, RedisError> {
        let mut pipe = redis::pipe();
        pipe.get(self.keys.status(id));
        if let Some(task_type) = id.task_type() {
            pipe.zscore(self.keys.active(&task_type), id.as_str());
        }
        let (word, lease): (Option<String>, Option<f64>) = match id.task_type() {
            Some(_) => pipe.query_async(&mut self.connection.clone()).await,
            None => pipe
                .query_async(&mut self.connection.clone())
                .await
                .map(|(word,): (Option<String>,)| (word, None)),
        }
        .map_err(RedisError::during("read a task's status"))?;
        let status = word.and_then(|word| word.parse::<TaskStatus>().ok());
        Ok(match status {
            Some(status) if !status.final_state() && lease.is_some() => {
                Some(TaskStatus::Processing)
            }
            other => other,
        })
    }

    /// Stops a task: at once when it waits, by its worker when it runs.
    ///
    /// True when the task was still alive.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn cancel(&self, id: &TaskId) -> Result<bool, RedisError> {
        let Some(task_type) = id.task_type() else { return Ok(false) };
        let result = TaskResult::failure("cancelled", "cancelled");
        let item =
            FinishItem { id: id.as_str(), token: "*", op: "cancel", result: &result, retry_ms: -1 };
        let words = self.finish_items(&task_type, &[item]).await?;
        Ok(words.iter().any(|word| word == "cancelled" || word == "SIGNALLED"))
    }
}

/// A connection that blocks until a task may be ready.
#[derive(Debug)]
pub(crate) struct Waiter {
    connection: ConnectionManager,
    keys: Keys,
}

impl Waiter {
    pub(crate) async fn connect(queue: &TaskQueue) -> Result<Self, RedisError> {
        let connection =
            queue.server.blocking(LONGEST_BLOCK).await.map_err(|error| RedisError {
                action: "open a connection to wait on",
                source: match error {
                    ConnectError::Address { source } | ConnectError::Unreachable { source } => {
                        source
                    }
                    ConnectError::TooOld { .. } | ConnectError::Evicts { .. } => {
                        redis::RedisError::from((redis::ErrorKind::Client, "server refused"))
                    }
                },
            })?;
        Ok(Self { connection, keys: queue.keys.clone() })
    }

    /// Returns when a task of `types` may be ready, or after `at_most`.
    pub(crate) async fn wait(
        &mut self,
        types: &[TaskType],
        at_most: Duration,
    ) -> Result<(), RedisError> {
        let mut command = redis::cmd("BLPOP");
        for task_type in types {
            command.arg(self.keys.wake(task_type));
        }
        // 0 would mean for ever.
        let wait = at_most.clamp(Duration::from_millis(10), LONGEST_BLOCK);
        command.arg(wait.as_secs_f64());
        let _: Option<(String, String)> = command
            .query_async(&mut self.connection)
            .await
            .map_err(RedisError::during("wait for tasks"))?;
        Ok(())
    }
}

pub(crate) struct FinishItem<'a> {
    pub(crate) id: &'a str,
    pub(crate) token: &'a str,
    pub(crate) op: &'static str,
    pub(crate) result: &'a TaskResult,
    pub(crate) retry_ms: i64,
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

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
