//! The queue itself: submit, look, cancel. A worker's half is in [`crate::claim`] and [`crate::finish`].

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::QueueConfig;
use crate::connection::{RedisServer, check_server};
use crate::error::{ConnectError, RedisError, SubmitError};
use crate::finish::FinishItem;
use crate::keys::Keys;
use crate::scripts::Scripts;
use crate::task::{Task, TaskId, TaskResult, TaskStatus, TaskType, now_ms};
use redis::aio::ConnectionManager;

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

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
