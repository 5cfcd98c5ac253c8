//! The queue itself: connect, look, cancel.
//!
//! Not here: [`crate::submit`], and a worker's half in [`crate::work::claim`] and [`crate::work::finish`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::ErrorKind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::recent::Recent;
use crate::config::QueueConfig;
use crate::error::{ConnectError, RedisError};
use crate::redis::connection::check::check_servers;
use crate::redis::connection::{Connection, RedisServer};
use crate::redis::keys::Keys;
use crate::redis::refusal::{Refusal, Troubles, is_silence};
use crate::redis::replica::Replicas;
use crate::redis::scripts::Scripts;
use crate::task::lane::Lane;
use crate::task::{TaskId, TaskResult, TaskStatus, TaskType};
use crate::work::finish::FinishItem;

/// Things that cannot be read and are named in the log; more are only passed over.
const UNREADABLE_SAID: usize = 1_000;
/// How long it is believed that Redis knows a lane: a Redis that lost its data hears of it again after that.
const LANE_IS_KNOWN: Duration = Duration::from_secs(5);

/// In a Cluster, how long nodes are asked whether a trouble is over: the sweep waits for it.
const PROBED_WITHIN: Duration = Duration::from_secs(1);

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
    known_lanes: Arc<Mutex<HashMap<Lane, Instant>>>,
    last_lanes: Arc<Mutex<Vec<Lane>>>,
    pub(crate) recent: Arc<Mutex<Recent>>,
    /// What could not be read and was said so.
    unreadable: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) replicas: Replicas,
    troubles: Troubles,
}

impl TaskQueue {
    /// Connects and checks that the server can keep the promises.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], each with what to do.
    pub async fn connect(url: &str, config: QueueConfig) -> Result<Self, ConnectError> {
        let server = RedisServer::new(url, config.redis_ca.as_deref())?;
        let connected = server.shared().await;
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

    /// Adds a lane to the set that sweepers and coordinators look through, unless that was done a moment ago.
    pub(crate) async fn remember_lane(&self, lane: &Lane) -> redis::RedisResult<()> {
        let now = Instant::now();
        let noted = {
            let lanes = self.known_lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.get(lane).copied()
        };
        if noted.is_some_and(|at| now < at + LANE_IS_KNOWN) {
            return Ok(());
        }
        let note = |at| {
            let mut lanes = self.known_lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.insert(lane.clone(), at);
        };
        if noted.is_none() {
            self.add_lane(lane).await?;
            note(now);
            return Ok(());
        }
        // It is there unless Redis was emptied. In a Cluster the set may be on a node that is away while the lane's own is
        // there, so nobody waits.
        note(now);
        let (queue, lane) = (self.clone(), lane.clone());
        tokio::spawn(async move {
            if let Err(error) = queue.add_lane(&lane).await {
                tracing::debug!(error = %error, "a known lane was not noted again");
            }
        });
        Ok(())
    }

    pub(crate) async fn add_lane(&self, lane: &Lane) -> redis::RedisResult<()> {
        self.write_even_when_full("SADD", self.keys.types(), lane.to_string()).await
    }

    /// Makes the lanes of divided types known, so that an operator's pause reaches them before their first task.
    ///
    /// # Errors
    ///
    /// When Redis does not answer; each lane is made known with its first task as well.
    pub async fn announce_partitions(&self) -> Result<(), RedisError> {
        for (task_type, partitions) in &self.config.partitions {
            for lane in Lane::all_of(task_type, *partitions) {
                self.add_lane(&lane).await.map_err(RedisError::during("announce a partition"))?;
            }
        }
        Ok(())
    }

    /// Whether Redis answers; in a Cluster, whether one of its nodes does.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.connection.ping().await.map_err(RedisError::during("reach Redis"))
    }

    /// What a readiness probe is told: nothing when Redis was reached, answers, and takes all that is needed; otherwise
    /// why not.
    ///
    /// # Errors
    ///
    /// The reason, in words.
    pub async fn readiness(queue: Option<&Self>) -> Result<(), String> {
        let Some(queue) = queue else { return Err("Redis was not reached yet".to_owned()) };
        queue.ping().await.map_err(|error| in_words(&error.source))?;
        let lanes = queue.last_lanes().clone();
        let lanes = std::iter::once(None).chain(lanes.into_iter().map(Some));
        // One server is asked once; in a Cluster each lane's node.
        let lanes: Vec<_> =
            lanes.take(if queue.server.has_slots() { usize::MAX } else { 1 }).collect();
        let probed = join_all(lanes.iter().map(|lane| queue.probe(lane.as_ref()))).await;
        let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (lane, probed) in lanes.iter().zip(probed) {
            // A node that is away is replaced: one lane's trouble is not the others'.
            if let Err(error) = probed
                && let Some(refusal) = Refusal::of(&error)
            {
                let why = match refusal {
                    Refusal::Forbidden => {
                        format!("{refusal}: {}", error.detail().unwrap_or_default())
                    }
                    refusal => refusal.to_string(),
                };
                refused.entry(why).or_default().extend(lane.as_ref().map(ToString::to_string));
            }
        }
        let said: Vec<_> = refused
            .into_iter()
            .map(|(why, lanes)| match lanes.is_empty() {
                true => why,
                false => format!("for {}: {why}", lanes.join(", ")),
            })
            .collect();
        if said.is_empty() { Ok(()) } else { Err(said.join("; ")) }
    }

    /// Whether the server of a lane, or of what belongs to none, takes writes, and allows what is needed.
    async fn probe(&self, lane: Option<&Lane>) -> redis::RedisResult<()> {
        let key = lane.map_or_else(|| self.keys.types(), |lane| self.keys.meta(lane));
        let mut call = self.scripts.probe.key(key);
        for command in self.scripts.needs(self.config.side) {
            call.arg(command);
        }
        call.run(&mut self.connection.clone()).await
    }

    /// Tells the log of a command that failed: of a server that refuses or does not answer once, when that begins; of
    /// anything else each time. `lane` is the lane that it was about.
    pub fn note_trouble(
        &self,
        lane: Option<&Lane>,
        action: &'static str,
        error: &redis::RedisError,
    ) {
        let refusal = Refusal::of(error);
        let lane = lane.filter(|_| self.server.has_slots());
        let shown = lane.map(tracing::field::display);
        if refusal.is_none() && !is_silence(error) {
            tracing::warn!(lane = shown, action, error = %error, "Redis answers with an error; trying again");
        } else if !self.troubles.begin(lane, refusal) {
            tracing::debug!(lane = shown, action, error = %error, "Redis still refuses or is silent");
        } else if let Some(refusal) = refusal {
            tracing::warn!(
                lane = shown, action, code = refusal.code(), why = %refusal, error = %error,
                "Redis refuses commands; nothing is lost, trying again until it takes them"
            );
        } else {
            tracing::warn!(
                lane = shown, action, error = %error,
                "Redis does not answer; nothing is lost, trying again until it does"
            );
        }
    }

    /// Looks whether what [`TaskQueue::note_trouble`] told of is over, and tells that too.
    pub(crate) async fn look_whether_trouble_is_over(&self) {
        for lane in self.troubles.all() {
            match self.probe_all(lane.as_ref()).await {
                Ok(()) => {
                    if let Some(trouble) = self.troubles.end(lane.as_ref()) {
                        tracing::info!(
                            lane = lane.as_ref().map(tracing::field::display),
                            code = trouble.refusal.map(Refusal::code),
                            after_ms = millis(trouble.since.elapsed()),
                            "Redis takes commands again"
                        );
                    }
                }
                Err(error) => self.note_trouble(lane.as_ref(), "look at Redis", &error),
            }
        }
    }

    /// As [`TaskQueue::probe`]; without a lane in a Cluster, whose trouble may be with any node, all lanes'. In good time
    /// there, for the sweep waits for it.
    async fn probe_all(&self, lane: Option<&Lane>) -> redis::RedisResult<()> {
        if !self.server.has_slots() {
            return self.probe(lane).await;
        }
        let lanes = match lane {
            Some(lane) => vec![Some(lane.clone())],
            None => {
                let known = self.last_lanes().clone();
                std::iter::once(None).chain(known.into_iter().map(Some)).collect()
            }
        };
        let probing = join_all(lanes.iter().map(|lane| self.probe(lane.as_ref())));
        match tokio::time::timeout(PROBED_WITHIN, probing).await {
            Ok(probed) => probed.into_iter().collect(),
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
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

    /// All task types that were ever submitted or offered.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn task_types(&self) -> Result<Vec<TaskType>, RedisError> {
        let lanes = self.lanes().await?;
        let types: BTreeSet<TaskType> =
            lanes.into_iter().map(|lane| lane.task_type().clone()).collect();
        Ok(types.into_iter().collect())
    }

    /// All lanes that were ever submitted to or offered.
    pub(crate) async fn lanes(&self) -> Result<Vec<Lane>, RedisError> {
        let names: Vec<Vec<u8>> = redis::cmd("SMEMBERS")
            .arg(self.keys.types())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("list the task types"))?;
        let lane = |name: Vec<u8>| String::from_utf8(name).ok()?.parse().ok();
        let mut lanes: Vec<Lane> = names.into_iter().filter_map(lane).collect();
        lanes.sort();
        self.last_lanes().clone_from(&lanes);
        Ok(lanes)
    }

    /// As [`TaskQueue::lanes`], and what was known last when Redis does not say.
    pub(crate) async fn lanes_to_sweep(&self) -> Result<Vec<Lane>, RedisError> {
        let listed = self.lanes().await;
        let last = self.last_lanes();
        match listed {
            Err(_) if !last.is_empty() => Ok(last.clone()),
            listed => listed,
        }
    }

    /// The lanes of some types, each type's own and the parts that are known: whoever sweeps keeps them up to date.
    pub(crate) fn lanes_of(&self, types: &[TaskType]) -> Vec<Lane> {
        let last = self.last_lanes();
        let parts = |task_type| {
            last.iter()
                .filter(move |lane| lane.task_type() == task_type && lane.partition().is_some())
        };
        types
            .iter()
            .flat_map(|task_type| {
                std::iter::once(Lane::whole(task_type)).chain(parts(task_type).cloned())
            })
            .collect()
    }

    /// Where a person's new task of a type belongs.
    pub fn lane_of(&self, task_type: &TaskType, user_id: i64) -> Lane {
        let parts = self.config.partitions.get(task_type).copied().unwrap_or(1);
        Lane::of_person(task_type, parts, user_id)
    }

    /// Says once that something in Redis cannot be read.
    pub(crate) fn say_unreadable(&self, what: &'static str, id: &str) {
        let mut said = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < UNREADABLE_SAID && said.insert(format!("{what} {id}")) {
            tracing::warn!(what, id, "what is in Redis cannot be read; passed over");
        }
    }

    pub(crate) fn last_lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.last_lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tasks of `task_type` that wait: ready ones and those with a delay.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn queue_size(&self, task_type: &TaskType) -> Result<u64, RedisError> {
        let mut size = 0;
        for lane in self.lanes_of(std::slice::from_ref(task_type)) {
            let (ready, delayed): (u64, u64) = redis::pipe()
                .zcard(self.keys.queue(&lane))
                .zcard(self.keys.delayed(&lane))
                .query_async(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("count the waiting tasks"))?;
            size += ready + delayed;
        }
        Ok(size)
    }

    /// Where a task is. None for an id that was never seen, or that ended more than five minutes ago.
    ///
    /// Redis holds a word for a task that has ended or waits for a retry, and for one that nobody wants a reply of;
    /// whether a task waits or runs is seen from the indexes, which saves a write per task.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn task_status(&self, id: &TaskId) -> Result<Option<TaskStatus>, RedisError> {
        let failed = RedisError::during("read a task's status");
        let mut connection = self.connection.clone();
        let Some(lane) = id.lane() else {
            // An id that another producer made up does not say where its indexes are.
            let word: redis::RedisResult<Option<String>> =
                redis::cmd("GET").arg(self.keys.status(id)).query_async(&mut connection).await;
            return Ok(word.map_err(failed)?.and_then(|word| word.parse().ok()));
        };
        let (word, alive, lease): (Option<String>, bool, Option<f64>) = redis::pipe()
            .get(self.keys.status(id))
            .hexists(self.keys.data(&lane), id.as_str())
            .zscore(self.keys.active(&lane), id.as_str())
            .query_async(&mut connection)
            .await
            .map_err(failed)?;
        let stored = word.and_then(|word| word.parse::<TaskStatus>().ok());
        Ok(match stored {
            _ if lease.is_some() => Some(TaskStatus::Processing),
            None if alive => Some(TaskStatus::Pending),
            stored => stored,
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
        let Some(lane) = id.lane() else { return Ok(false) };
        let result = TaskResult::failure("cancelled", "cancelled");
        let item =
            FinishItem { id: id.as_str(), token: "*", op: "cancel", result: &result, retry_ms: -1 };
        let words = self.finish_items(&lane, &[item]).await?;
        Ok(words.iter().any(|word| word == "cancelled" || word == "SIGNALLED"))
    }
}

/// Whether an error stays however long one waits. A Cluster's client tells only in words why no node took it.
fn is_final(error: &redis::RedisError) -> bool {
    let refused = ["WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password"];
    error.kind() == ErrorKind::InvalidClientConfig
        || matches!(Refusal::of(error), Some(Refusal::Login | Refusal::Forbidden))
        || refused.iter().any(|word| error.to_string().contains(word))
}

/// A refusal with what helps, anything else as it is.
fn in_words(error: &redis::RedisError) -> String {
    match Refusal::of(error) {
        Some(refusal) => refusal.to_string(),
        None => format!("cannot reach Redis: {error}"),
    }
}

/// A duration in milliseconds, as Redis takes it; one that is too long is the longest there is.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
