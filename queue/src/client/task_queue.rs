//! The queue itself: connect, and what all parts share.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use redis::ErrorKind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::recent::Recent;
use crate::config::QueueConfig;
use crate::error::{ConnectError, RedisError};
use crate::redis::check::check_servers;
use crate::redis::connection::Connection;
use crate::redis::keys::Keys;
use crate::redis::refusal::{Refusal, Troubles};
use crate::redis::replica::{Keeping, Replicas};
use crate::redis::scripts::Scripts;
use crate::redis::server::RedisServer;
use crate::task::{Lane, TaskId};

/// Things that cannot be read and are named in the log; more are only passed over.
const UNREADABLE_SAID: usize = 1_000;
/// Between two attempts to reach a Redis that is not there yet.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A handle on the queue. Cloning is cheap; all clones share one connection for short commands.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    pub(crate) server: RedisServer,
    pub(crate) connection: Connection,
    pub(crate) keys: Keys,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) config: Arc<QueueConfig>,
    pub(crate) known_lanes: Arc<Mutex<HashMap<Lane, Instant>>>,
    pub(crate) last_lanes: Arc<Mutex<Vec<Lane>>>,
    recent: Arc<Mutex<Recent<BeforeResubmit>>>,
    /// What could not be read and was said so.
    unreadable: Arc<Mutex<BTreeSet<String>>>,
    replicas: Replicas,
    pub(crate) troubles: Troubles,
}

type Action = dyn Fn(TaskQueue) -> BoxFuture<'static, Result<(), RedisError>> + Send + Sync;

/// What a caller does before a task is submitted again. Clones share it.
#[derive(Clone)]
pub(crate) struct BeforeResubmit(Arc<Action>);

impl BeforeResubmit {
    pub(crate) async fn run(&self, queue: TaskQueue) -> Result<(), RedisError> {
        (self.0)(queue).await
    }
}

impl fmt::Debug for BeforeResubmit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BeforeResubmit").finish_non_exhaustive()
    }
}

impl TaskQueue {
    /// Connects and checks that the server can keep the promises.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], each with what to do.
    pub async fn connect(url: &str, config: QueueConfig) -> Result<Self, ConnectError> {
        let server = RedisServer::new(url, config.redis_ca.as_deref())?;
        let connected = Connection::shared(&server).await;
        let connection = connected.map_err(|source| ConnectError::Unreachable { source })?;
        check_servers(&connection).await?;
        Ok(Self {
            server,
            connection,
            keys: Keys::new(config.namespace.clone()),
            scripts: Arc::new(Scripts::new()),
            config: Arc::new(config),
            known_lanes: Arc::default(),
            last_lanes: Arc::default(),
            recent: Arc::default(),
            unreadable: Arc::default(),
            replicas: Replicas::default(),
            troubles: Troubles::default(),
        })
    }

    /// As [`TaskQueue::connect`], but waits for a Redis that cannot be reached yet: it may be starting, loading or failing
    /// over. None when `shutdown` came first.
    ///
    /// # Errors
    ///
    /// What waiting does not mend: an address that does not parse, a password that is refused, a server that cannot keep
    /// the promises.
    pub async fn connect_when_there(
        url: &str,
        config: QueueConfig,
        shutdown: &CancellationToken,
    ) -> Result<Option<Self>, ConnectError> {
        let mut told = None;
        loop {
            match Self::connect(url, config.clone()).await {
                Ok(queue) => return Ok(Some(queue)),
                Err(ConnectError::Unreachable { source }) if !is_final(&source) => {
                    let trouble = Some(Refusal::of(&source));
                    if told != trouble {
                        told = trouble;
                        let why = Refusal::of(&source).map(tracing::field::display);
                        tracing::warn!(error = %source, why, "cannot reach Redis; trying again each second");
                    }
                }
                Err(error) => return Err(error),
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(TRY_AGAIN)).await.is_none() {
                return Ok(None);
            }
        }
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
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Makes one small write that a full server takes too: a sign of life, a lease, a note. `command` is one that takes
    /// its key first.
    ///
    /// # Errors
    ///
    /// When Redis does not answer or refuses for another reason.
    pub async fn write_even_when_full<T: redis::FromRedisValue>(
        &self,
        command: &str,
        key: impl redis::ToRedisArgs,
        arguments: impl redis::ToRedisArgs,
    ) -> redis::RedisResult<T> {
        let mut call = self.scripts.write.key(key);
        call.arg(command).arg(arguments);
        call.run(&mut self.connection.clone()).await
    }

    /// Says once that something in Redis cannot be read.
    pub(crate) fn say_unreadable(&self, what: &'static str, id: &str) {
        let mut said = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < UNREADABLE_SAID && said.insert(format!("{what} {id}")) {
            tracing::warn!(what, id, "what is in Redis cannot be read; passed over");
        }
    }

    /// Runs `write`, which changes keys of `lane`, and runs it again until a replica has the change. Returns what the last run
    /// returned.
    ///
    /// Without replicas it runs once. While replicas are silent, the wait is bounded as for a submit.
    ///
    /// # Errors
    ///
    /// Those of `write`; or the server does not answer any more, or was replaced. What was written may be lost.
    pub async fn write_replicated<T, W>(
        &self,
        lane: &Lane,
        write: impl Fn() -> W,
    ) -> redis::RedisResult<T>
    where
        W: Future<Output = redis::RedisResult<T>>,
    {
        let mut keeping = self.keep(lane);
        loop {
            let written = write().await?;
            if keeping.kept().await? {
                return Ok(written);
            }
        }
    }

    /// Runs `action` each time before this process submits the task `id` again, because its server lost it. For writes of the
    /// caller that belong to the task: a server that lost the task lost them as well.
    ///
    /// Replaces an earlier action. Does nothing for a task that this process does not remember: one that it did not submit, or
    /// that was answered.
    pub fn before_resubmit(
        &self,
        id: &TaskId,
        action: impl Fn(Self) -> BoxFuture<'static, Result<(), RedisError>> + Send + Sync + 'static,
    ) {
        let action = BeforeResubmit(Arc::new(action));
        self.recent(|recent| recent.before_resubmit(id, action));
    }

    /// Begins a write to `lane` that is to be kept.
    pub(crate) fn keep<'a>(&'a self, lane: &'a Lane) -> Keeping<'a> {
        Keeping::begin(&self.connection, &self.replicas, lane, self.keys.data(lane))
    }

    pub(crate) fn recent<R>(&self, change: impl FnOnce(&mut Recent<BeforeResubmit>) -> R) -> R {
        change(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Leaves a token for an idle worker.
    pub(crate) async fn wake(&self, lane: &Lane) -> Result<(), RedisError> {
        let _length: i64 = redis::cmd("RPUSH")
            .arg(self.keys.wake(lane))
            .arg("1")
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("wake a worker"))?;
        Ok(())
    }
}

/// Whether an error stays however long one waits. A Cluster's client tells only in words why no node took it.
fn is_final(error: &redis::RedisError) -> bool {
    let refused = ["WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password"];
    error.kind() == ErrorKind::InvalidClientConfig
        || matches!(Refusal::of(error), Some(Refusal::Login | Refusal::Forbidden))
        || refused.iter().any(|word| error.to_string().contains(word))
}
