//! The handle on the queue: connecting, and the state that all parts share.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use redis::ErrorKind;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::resubmit_buffer::ResubmitBuffer;
use crate::client::waits::Waits;
use crate::config::QueueConfig;
use crate::error::{ConnectError, RedisError};
use crate::history::buffer::Buffer;
use crate::history::stream::BothSides;
use crate::redis::check::check_servers;
use crate::redis::connection::Connection;
use crate::redis::keys::Keys;
use crate::redis::refusal::{Problems, Refusal};
use crate::redis::replica_wait::{ReplicaWait, Replicas};
use crate::redis::scripts::Scripts;
use crate::redis::server::RedisServer;
use crate::task::{Lane, TaskId};

/// Most unreadable items that are logged; further ones are skipped silently.
const MAX_UNREADABLE_LOGGED: usize = 1_000;
/// Pause between attempts to reach a Redis that is not up yet.
const CONNECT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A handle on the queue. Cloning is cheap; all clones share one connection for short commands.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    pub(crate) server: RedisServer,
    pub(crate) connection: Connection,
    pub(crate) keys: Keys,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) config: Arc<QueueConfig>,
    pub(crate) registered_lanes: Arc<Mutex<HashMap<Lane, Instant>>>,
    pub(super) listed_lanes: watch::Sender<Vec<Lane>>,
    resubmit_buffer: Arc<Mutex<ResubmitBuffer<BeforeResubmit>>>,
    /// Unreadable items that were logged.
    logged_unreadable: Arc<Mutex<BTreeSet<String>>>,
    replicas: Replicas,
    pub(crate) problems: Problems,
    pub(crate) waits: Waits,
    /// The sweep has seen tasks on the ingress list.
    pub(crate) pushed: Arc<Notify>,
    /// What is to be written of finished tasks; none when the history is off.
    pub(crate) history: Option<Arc<Buffer>>,
    history_connections: Arc<OnceCell<BothSides<Connection>>>,
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
    /// Connects, and checks that the server can keep the queue's promises.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; each message says what to do.
    pub async fn connect(url: &str, config: QueueConfig) -> Result<Self, ConnectError> {
        let server = RedisServer::new(url, config.redis_ca.as_deref())?;
        let connected = Connection::shared(&server).await;
        let connection = connected.map_err(|source| ConnectError::Unreachable { source })?;
        check_servers(&connection).await?;
        let keys = Keys::new(config.namespace.clone());
        let waits = Waits::new(server.clone(), keys.done_channel_prefix());
        let history = config.history.map(|settings| Arc::new(Buffer::new(settings)));
        Ok(Self {
            server,
            connection,
            keys,
            scripts: Arc::new(Scripts::new()),
            config: Arc::new(config),
            registered_lanes: Arc::default(),
            listed_lanes: watch::Sender::default(),
            resubmit_buffer: Arc::default(),
            logged_unreadable: Arc::default(),
            replicas: Replicas::default(),
            problems: Problems::default(),
            waits,
            pushed: Arc::default(),
            history,
            history_connections: Arc::default(),
        })
    }

    /// As [`TaskQueue::connect`], but waits for a Redis that cannot be reached yet, because it is starting, loading or failing
    /// over. None when `shutdown` came first.
    ///
    /// # Errors
    ///
    /// Those that waiting cannot solve: an invalid address, a refused password, a server that cannot keep the promises.
    pub async fn connect_when_there(
        url: &str,
        config: QueueConfig,
        shutdown: &CancellationToken,
    ) -> Result<Option<Self>, ConnectError> {
        let mut logged = None;
        loop {
            match Self::connect(url, config.clone()).await {
                Ok(queue) => return Ok(Some(queue)),
                Err(ConnectError::Unreachable { source }) if !is_permanent(&source) => {
                    let problem = Some(Refusal::of(&source));
                    if logged != problem {
                        logged = problem;
                        let why = Refusal::of(&source).map(tracing::field::display);
                        tracing::warn!(error = %source, why, "cannot reach Redis; trying again every second");
                    }
                }
                Err(error) => return Err(error),
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(CONNECT_RETRY_DELAY)).await.is_none()
            {
                return Ok(None);
            }
        }
    }

    /// The key names.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The limits and times.
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// The connection for short commands, for the caller's own data (sessions, caches).
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Connections for large replies, opened when the history is first read. On the shared one, other replies would wait until
    /// they are parsed.
    pub(crate) async fn history_connections(&self) -> redis::RedisResult<BothSides<Connection>> {
        let open = async || {
            let newest = Connection::shared(&self.server).await?;
            Ok(BothSides { newest, oldest: Connection::shared(&self.server).await? })
        };
        self.history_connections.get_or_try_init(open).await.cloned()
    }

    /// Makes one small write that a full server accepts too: a heartbeat, a lease, a record. The key is the first argument of
    /// `command`.
    ///
    /// # Errors
    ///
    /// Redis does not answer, or refuses for another reason than memory.
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

    /// Logs once that something in Redis cannot be read.
    pub(crate) fn warn_unreadable(&self, what: &'static str, id: &str) {
        let mut logged = self.logged_unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < MAX_UNREADABLE_LOGGED && logged.insert(format!("{what} {id}")) {
            tracing::warn!(what, id, "unreadable data in Redis; skipped");
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
        let mut replica = self.replica_wait(lane);
        loop {
            let written = write().await?;
            if replica.is_safe().await? {
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
        self.resubmit_buffer(|buffer| buffer.before_resubmit(id, action));
    }

    /// Prepares for a write to `lane` that must reach a replica.
    pub(crate) fn replica_wait<'a>(&'a self, lane: &'a Lane) -> ReplicaWait<'a> {
        ReplicaWait::begin(&self.connection, &self.replicas, lane, self.keys.data(lane))
    }

    /// Runs `change` on the tasks that are kept for a resubmit.
    pub(crate) fn resubmit_buffer<R>(
        &self,
        change: impl FnOnce(&mut ResubmitBuffer<BeforeResubmit>) -> R,
    ) -> R {
        change(&mut self.resubmit_buffer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a wake-up token for an idle worker.
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

/// Whether waiting cannot solve an error. When no node of a Cluster accepts us, only the error's text has the reason.
fn is_permanent(error: &redis::RedisError) -> bool {
    let refused = ["WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password"];
    error.kind() == ErrorKind::InvalidClientConfig
        || matches!(Refusal::of(error), Some(Refusal::Login | Refusal::Forbidden))
        || refused.iter().any(|word| error.to_string().contains(word))
}
