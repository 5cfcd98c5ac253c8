//! Waiting for work: wake-up tokens that a submit leaves for an idle worker.

use std::time::Duration;

use redis::aio::ConnectionManager;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{ConnectError, RedisError};
use crate::keys::Keys;
use crate::task::TaskType;
use crate::task_queue::TaskQueue;

/// Longest wait in one blocking command; longer waits are made of several.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);
/// How long a worker waits before it says anew for which types: a plugin that came in between is heard of by then.
const ONE_WAIT: Duration = Duration::from_secs(2);

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

    /// Returns when a task of `types` may be ready and of which, or after `at_most`.
    ///
    /// Not cancel safe: the server goes on waiting for a dropped call and gives it the next token.
    pub(crate) async fn wait(
        &mut self,
        types: &[TaskType],
        at_most: Duration,
    ) -> Result<Option<TaskType>, RedisError> {
        let mut command = redis::cmd("BLPOP");
        for task_type in types {
            command.arg(self.keys.wake(task_type));
        }
        // 0 would mean for ever.
        let wait = at_most.clamp(Duration::from_millis(10), LONGEST_BLOCK);
        command.arg(wait.as_secs_f64());
        let woken: Option<(String, String)> = command
            .query_async(&mut self.connection)
            .await
            .map_err(RedisError::during("wait for tasks"))?;
        let list = woken.map(|(list, _token)| list);
        Ok(types.iter().find(|known| list.as_ref() == Some(&self.keys.wake(known))).cloned())
    }
}

/// Wake-ups as a stream: waits in a task of its own, so that whoever listens may do other things in between without
/// losing a token.
#[derive(Debug)]
pub(crate) struct Wakes {
    asks: mpsc::Sender<Vec<TaskType>>,
    answers: mpsc::Receiver<Result<Option<TaskType>, RedisError>>,
    asked: bool,
    waiting: JoinHandle<()>,
}

impl Wakes {
    /// Opens the connection to wait on.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) async fn listen(queue: &TaskQueue) -> Result<Self, RedisError> {
        let mut waiter = Waiter::connect(queue).await?;
        let (asks, mut asked) = mpsc::channel::<Vec<TaskType>>(1);
        let (answer, answers) = mpsc::channel(1);
        let waiting = tokio::spawn(async move {
            while let Some(types) = asked.recv().await {
                if answer.send(waiter.wait(&types, ONE_WAIT).await).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { asks, answers, asked: false, waiting })
    }

    /// Waits for a token of `types` from now on, unless it does already.
    pub(crate) fn ask(&mut self, types: &[TaskType]) {
        if !self.asked {
            self.asked = self.asks.try_send(types.to_vec()).is_ok();
        }
    }

    /// The answer to the last [`Wakes::ask`]: none when no token came in time. Never returns when nothing was asked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn woken(&mut self) -> Result<Option<TaskType>, RedisError> {
        if !self.asked {
            return std::future::pending().await;
        }
        let answer = self.answers.recv().await;
        self.asked = false;
        answer.unwrap_or(Ok(None))
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl TaskQueue {
    /// Leaves a token for an idle worker.
    pub(crate) async fn wake(&self, task_type: &TaskType) -> Result<(), RedisError> {
        let _length: i64 = redis::cmd("RPUSH")
            .arg(self.keys.wake(task_type))
            .arg("1")
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("wake a worker"))?;
        Ok(())
    }
}
