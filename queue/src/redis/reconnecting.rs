//! A connection that is made anew when it breaks, when it has fallen silent, and when it no longer leads to the master
//! that Sentinel names.
//!
//! A firewall that forgets a connection gives no error: commands go out, and nothing comes back. A server that is
//! frozen or far away looks the same from here. A second connection tells them apart. When nothing has been heard for
//! [`SUSPICIOUS`] although an answer is due, one is opened beside the first, and both are asked: whoever answers first
//! stays. A slow connection answers first, because it was asked first; a frozen server answers on neither, and then
//! nothing is changed until one of them speaks.
//!
//! This is counted per connection, not per command: callers may give up earlier than that, each for its own reasons.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::redis::opening::open_soon;
use crate::redis::server::{RedisServer, Target};

/// A short command that has no answer after this long is given up: well within a lease. A connection that is silent is
/// replaced before that (see above).
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);
/// An answer that is due for this long makes a connection suspicious. For a command that waits in the server, this is
/// counted from the end of its wait. Long for a network, short for a person.
const SUSPICIOUS: Duration = Duration::from_secs(2);
/// The same for a connection that turned out to be slow, until it has answered within [`QUICK`] again.
const SUSPICIOUS_IF_SLOW: Duration = RESPONSE_TIMEOUT;
const QUICK: Duration = Duration::from_secs(1);
/// A suspicious connection is asked this long before another is opened: a process that was frozen finds its answers
/// waiting.
const ASKED_ALONE: Duration = Duration::from_millis(100);
/// After an attempt to connect that failed, the next waits this long: one for all who ask meanwhile.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// The same for one that nobody waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// A connection that is opened when it is needed. Clones share it.
#[derive(Clone)]
pub(super) struct Reconnecting {
    shared: Arc<Shared>,
}

struct Shared {
    way: Way,
    lines: Mutex<Lines>,
}

/// How to connect.
#[derive(Clone)]
struct Way {
    server: RedisServer,
    to: Target,
    /// How long its commands wait in the server, when they do. Such a connection lets go when another one to the same
    /// place was replaced: what swallowed that one may have swallowed this one as well.
    waits: Option<Duration>,
    /// Counts how often a connection to that place was replaced though it did not break.
    moved: watch::Sender<u64>,
    /// Counts connections, so that a late error drops only the one it came from.
    opened: Arc<AtomicU64>,
}

#[derive(Default)]
struct Lines {
    line: Option<Opening>,
    /// Whether another server is looked for while the old one is still used.
    seeking: bool,
}

/// A connection that is being made; one attempt serves all who wait for it.
type Opening = futures::future::Shared<BoxFuture<'static, Result<Arc<Line>, Failed>>>;

#[derive(Clone)]
struct Failed {
    at: Instant,
    error: RedisError,
}

/// One connection that was made.
struct Line {
    generation: u64,
    connection: MultiplexedConnection,
    life: Arc<Life>,
    /// Fired when it was found to be silent: nothing is expected from it any more.
    silent: CancellationToken,
    /// How often connections to the same place had been replaced when it was made.
    moves: u64,
    watch: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reconnecting").finish_non_exhaustive()
    }
}

impl Reconnecting {
    /// One that connects with its first command. `waits` is how long its commands wait in the server, if they do.
    pub(super) fn lazy(server: &RedisServer, to: Target, waits: Option<Duration>) -> Self {
        let moved = server.moves(&to);
        let opened = Arc::default();
        let way = Way { server: server.clone(), to, waits, moved, opened };
        Self { shared: Arc::new(Shared { way, lines: Mutex::default() }) }
    }

    /// Connects for the first time.
    pub(super) async fn connect(
        server: &RedisServer,
        to: Target,
        waits: Option<Duration>,
    ) -> RedisResult<Self> {
        let renewed = Self::lazy(server, to, waits);
        renewed.line().await?;
        Ok(renewed)
    }

    /// Which connection it is.
    pub(super) fn generation(&self) -> u64 {
        self.shared.way.opened.load(Ordering::Relaxed)
    }

    /// What is connected now; connects when nothing is.
    async fn line(&self) -> RedisResult<Arc<Line>> {
        loop {
            let opening = self.opening();
            match opening.clone().await {
                Ok(line) => return Ok(line),
                // It failed before we asked.
                Err(failed) if failed.at.elapsed() >= AFTER_FAILURE => {
                    let mut lines = self.shared.lines();
                    lines.line.take_if(|current| current.ptr_eq(&opening));
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    /// Goes on when the caller loses its patience: the next one needs the connection too.
    fn opening(&self) -> Opening {
        let mut lines = self.shared.lines();
        let opening = lines.line.get_or_insert_with(|| {
            let way = self.shared.way.clone();
            let shared = Arc::downgrade(&self.shared);
            let opening = tokio::spawn(async move {
                // Counted from before: what is replaced while we connect may have been this one.
                let moves = *way.moved.borrow();
                let opened = open_soon(|| way.open().boxed()).await;
                opened.map(|connection| Line::start(&way, shared, connection, moves))
            });
            let opened = async move {
                let opened = opening.await.unwrap_or_else(|panicked| {
                    Err(RedisError::from(std::io::Error::other(panicked)))
                });
                opened.map_err(|error| Failed { at: Instant::now(), error })
            };
            opened.boxed().shared()
        });
        opening.clone()
    }

    /// Runs `call` on what is connected. `refusal` finds what a server answered in place of a value.
    async fn with<T>(
        &self,
        call: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
        refusal: impl FnOnce(&T) -> Option<RedisError>,
    ) -> RedisResult<T> {
        let Way { to, waits, moved, .. } = &self.shared.way;
        let until = Instant::now() + waits.unwrap_or_default() + RESPONSE_TIMEOUT;
        let line =
            tokio::time::timeout_at(until, self.line()).await.map_err(|_elapsed| no_answer())??;
        let mut moved = moved.subscribe();
        let asked = line.life.ask(waits.unwrap_or_default());
        // The branches but the first are only watched; losing the first leaves a command whose fate is not known.
        let result = tokio::select! {
            biased;
            result = call(line.connection.clone()) => result,
            () = line.silent.cancelled() => {
                return Err(broken("the connection to Redis was silent; it is made anew"));
            }
            // The sender lives as long as we do.
            _ = moved.wait_for(|moves| line.moves < *moves), if waits.is_some() => {
                self.shared.let_go(line.generation);
                return Err(broken("Redis is connected anew"));
            }
            () = tokio::time::sleep_until(until) => return Err(no_answer()),
        };
        let error = match &result {
            Ok(value) => refusal(value),
            Err(error) => Some(error.clone()),
        };
        if result.is_ok() || error.as_ref().is_some_and(|error| error.code().is_some()) {
            asked.answered();
        } else {
            self.shared.let_go(line.generation);
        }
        if matches!(to, Target::Master) && error.is_some_and(|error| leads_astray(error.kind())) {
            self.seek(line.generation);
        }
        result
    }

    /// Looks for another master. One that waits in the server is let go at once; one that is shared goes on being used
    /// until there is another.
    fn seek(&self, generation: u64) {
        if self.shared.way.waits.is_some() {
            self.shared.let_go(generation);
            return;
        }
        {
            let mut lines = self.shared.lines();
            if lines.seeking || !lines.are_on(generation) {
                return;
            }
            lines.seeking = true;
        }
        let renewed = self.clone();
        tokio::spawn(async move {
            let opened = open_soon(|| renewed.shared.way.open().boxed()).await;
            renewed.shared.lines().seeking = false;
            match opened {
                Ok(connection) => renewed.shared.replace(generation, connection),
                Err(error) => tracing::debug!(error = %error, "Redis was looked for and not found"),
            }
        });
    }
}

impl Lines {
    /// Whether that connection is the one in use. Whoever knows its number has waited for it, so it is there.
    fn are_on(&self, generation: u64) -> bool {
        let made = self.line.as_ref().and_then(Opening::peek);
        made.is_some_and(|made| made.as_ref().is_ok_and(|line| line.generation == generation))
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a connection, unless that was done already.
    fn let_go(&self, generation: u64) {
        let mut lines = self.lines();
        if lines.are_on(generation) {
            lines.line = None;
        }
    }

    /// Puts another in its place, unless that was done already.
    fn replace(self: &Arc<Self>, generation: u64, connection: MultiplexedConnection) {
        let mut lines = self.lines();
        if !lines.are_on(generation) {
            return;
        }
        if self.way.waits.is_none() {
            self.way.moved.send_modify(|moves| *moves += 1);
        }
        let moves = *self.way.moved.borrow();
        let line = Line::start(&self.way, Arc::downgrade(self), connection, moves);
        lines.line = Some(std::future::ready(Ok(line)).boxed().shared());
    }
}

impl Way {
    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        match &self.to {
            Target::Server(node) => self.server.open_node((**node).clone()).await,
            Target::Master => self.server.open_master().await,
        }
    }

    /// Another connection, once there is one that answers.
    async fn another(&self) -> MultiplexedConnection {
        tokio::time::sleep(ASKED_ALONE).await;
        loop {
            let answering = async {
                let mut connection = open_soon(|| self.open().boxed()).await?;
                let ping = redis::cmd("PING");
                let answer = connection.req_packed_command(&ping);
                tokio::time::timeout(RESPONSE_TIMEOUT, answer)
                    .await
                    .map_err(|_elapsed| no_answer())??;
                RedisResult::Ok(connection)
            };
            match answering.await {
                Ok(connection) => return connection,
                Err(error) => {
                    tracing::debug!(error = %error, "a silent Redis cannot be connected anew yet");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }
}

impl Line {
    fn start(
        way: &Way,
        shared: Weak<Shared>,
        connection: MultiplexedConnection,
        moves: u64,
    ) -> Arc<Self> {
        let generation = way.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let life = Arc::<Life>::default();
        let silent = CancellationToken::new();
        let watch = tokio::spawn(watch(
            way.clone(),
            shared,
            generation,
            connection.clone(),
            Arc::clone(&life),
            silent.clone(),
        ));
        Arc::new(Self { generation, connection, life, silent, moves, watch })
    }
}

/// Replaces a connection once it is silent. Ends with it.
async fn watch(
    way: Way,
    shared: Weak<Shared>,
    generation: u64,
    mut connection: MultiplexedConnection,
    life: Arc<Life>,
    silent: CancellationToken,
) {
    let ping = redis::cmd("PING");
    loop {
        life.overdue(way.waits.unwrap_or_default()).await;
        // Losing the first leaves an answer that nobody needs, losing the second a connection that nobody uses.
        tokio::select! {
            biased;
            answer = connection.req_packed_command(&ping) => {
                if answer.is_err() {
                    // It broke: the next command finds that out, and connects.
                    return;
                }
                life.heard();
                life.due().slow = true;
            }
            another = way.another() => {
                let place = match &way.to {
                    Target::Server(node) => node.addr().to_string(),
                    Target::Master => "the master".to_owned(),
                };
                tracing::warn!(redis = %place, "a connection to Redis is silent; a new one takes its place");
                if let Some(shared) = shared.upgrade() {
                    shared.replace(generation, another);
                }
                silent.cancel();
                return;
            }
        }
    }
}

/// Whether answers are due on a connection.
#[derive(Default)]
struct Life {
    due: Mutex<Due>,
    asked: Notify,
}

#[derive(Default)]
struct Due {
    /// Commands whose answers are waited for.
    waiting: usize,
    /// Since when nothing was heard though an answer is due. A caller that gives up changes nothing about it.
    since: Option<Instant>,
    slow: bool,
}

impl Due {
    fn patience(&self) -> Duration {
        if self.slow { SUSPICIOUS_IF_SLOW } else { SUSPICIOUS }
    }
}

impl Life {
    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a command that waits in the server for so long.
    fn ask(&self, waits: Duration) -> Asked<'_> {
        let now = Instant::now();
        let mut due = self.due();
        due.waiting += 1;
        if due.since.is_none() {
            due.since = Some(now);
            self.asked.notify_one();
        }
        Asked { life: self, answered: false, quick_until: now + waits + QUICK }
    }

    fn heard(&self) {
        let mut due = self.due();
        due.since = (due.waiting > 0).then(Instant::now);
    }

    /// Returns when nothing has been heard for too long though an answer is due to commands that wait for so long.
    async fn overdue(&self, waits: Duration) {
        loop {
            let limit = {
                let due = self.due();
                due.since.map(|since| since + waits + due.patience())
            };
            match limit {
                None => self.asked.notified().await,
                Some(limit) if limit <= Instant::now() => return,
                Some(limit) => tokio::time::sleep_until(limit).await,
            }
        }
    }
}

/// A command that was sent.
struct Asked<'a> {
    life: &'a Life,
    answered: bool,
    /// An answer until then says that the connection is not slow.
    quick_until: Instant,
}

impl Asked<'_> {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut due = self.life.due();
        due.waiting = due.waiting.saturating_sub(1);
        if self.answered {
            due.since = (due.waiting > 0).then_some(now);
            due.slow &= self.quick_until < now;
        }
    }
}

fn no_answer() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

fn broken(why: &'static str) -> RedisError {
    RedisError::from(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, why))
}

/// Whether an error means that the connection does not lead to the master.
fn leads_astray(kind: ErrorKind) -> bool {
    use ServerErrorKind::{MasterDown, ReadOnly};
    matches!(kind, ErrorKind::Server(ReadOnly | MasterDown))
}

/// What a server answered in place of a value.
pub(super) fn server_error(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}

impl ConnectionLike for Reconnecting {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let call = async |mut live: MultiplexedConnection| live.req_packed_command(cmd).await;
        Box::pin(self.with(call, server_error))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let call = async move |mut live: MultiplexedConnection| {
            live.req_packed_commands(pipeline, offset, count).await
        };
        Box::pin(self.with(call, |values: &Vec<Value>| values.iter().find_map(server_error)))
    }

    fn get_db(&self) -> i64 {
        0
    }
}
