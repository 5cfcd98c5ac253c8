//! A connection that is replaced when it breaks, when it falls silent, and when it no longer leads to the master that
//! Sentinel names.
//!
//! A firewall that forgets a connection gives no error: commands go out, and nothing comes back. A frozen or distant
//! server looks the same. A second connection tells the cases apart. If nothing was heard for
//! [`liveness::SILENCE_LIMIT`] although a reply is due, a second connection is opened beside the first, and both are
//! pinged. The one that replies first stays. A slow connection replies first, because it was asked first. A frozen server
//! replies on neither, and nothing changes until one of them speaks.
//!
//! Silence is measured per connection, not per command: callers may give up earlier, for reasons of their own.

mod connector;
mod liveness;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::redis::hedged_open::open_hedged;
use crate::redis::reconnecting::connector::Connector;
use crate::redis::reconnecting::liveness::Liveness;
use crate::redis::server::{RedisServer, Target};
use crate::redis::time::{RESPONSE_TIMEOUT, timed_out};

/// Pause after an attempt to connect that failed. All callers share it.
const RECONNECT_DELAY: Duration = Duration::from_millis(100);

/// A connection that is opened when it is needed. Clones share it.
#[derive(Clone)]
pub(super) struct ReconnectingConnection {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Opening>,
    /// Whether another master is being looked for while the current connection is still in use.
    finding_master: bool,
}

/// An attempt to connect that all callers wait for together.
type Opening = futures::future::Shared<BoxFuture<'static, Result<Arc<OpenConnection>, OpenError>>>;

#[derive(Clone)]
struct OpenError {
    at: Instant,
    error: RedisError,
}

struct OpenConnection {
    /// Its number among the connections to this target.
    generation: u64,
    connection: MultiplexedConnection,
    liveness: Arc<Liveness>,
    /// Cancelled when the connection was found to be silent: no reply will come.
    silent: CancellationToken,
    /// How many connections to the target had been replaced when this one was opened.
    replacements: u64,
    watch: JoinHandle<()>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl fmt::Debug for ReconnectingConnection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ReconnectingConnection").finish_non_exhaustive()
    }
}

impl ReconnectingConnection {
    /// Connects with the first command. `block_time` is how long its commands block in the server, if they do.
    pub(super) fn lazy(server: &RedisServer, target: Target, block_time: Option<Duration>) -> Self {
        let connector = Connector::new(server, target, block_time);
        Self { shared: Arc::new(Shared { connector, state: Mutex::default() }) }
    }

    /// Connects now.
    pub(super) async fn connect(
        server: &RedisServer,
        target: Target,
        block_time: Option<Duration>,
    ) -> RedisResult<Self> {
        let connection = Self::lazy(server, target, block_time);
        connection.current().await?;
        Ok(connection)
    }

    /// A number that grows with each connection to the target.
    pub(super) fn generation(&self) -> u64 {
        self.shared.connector.generations.load(Ordering::Relaxed)
    }

    /// The open connection; opens one if there is none.
    async fn current(&self) -> RedisResult<Arc<OpenConnection>> {
        loop {
            let opening = self.opening();
            match opening.clone().await {
                Ok(connection) => return Ok(connection),
                // An old failure: try again.
                Err(failed) if failed.at.elapsed() >= RECONNECT_DELAY => {
                    let mut state = self.shared.state();
                    state.current.take_if(|current| current.ptr_eq(&opening));
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    /// The attempt to connect, in a task of its own: it goes on when its first caller gives up.
    fn opening(&self) -> Opening {
        let mut state = self.shared.state();
        let opening = state.current.get_or_insert_with(|| {
            let connector = self.shared.connector.clone();
            let shared = Arc::downgrade(&self.shared);
            let opening = tokio::spawn(async move {
                // Read before connecting: a replacement meanwhile may concern this connection too.
                let replacements = *connector.replacements.borrow();
                let opened = open_hedged(|| connector.open().boxed()).await;
                opened.map(|opened| OpenConnection::start(&connector, shared, opened, replacements))
            });
            let opened = async move {
                let opened = opening.await.unwrap_or_else(|panicked| {
                    Err(RedisError::from(std::io::Error::other(panicked)))
                });
                opened.map_err(|error| OpenError { at: Instant::now(), error })
            };
            opened.boxed().shared()
        });
        opening.clone()
    }

    /// Runs `call` on the open connection. `error_in` finds an error that the server sent in place of a value.
    async fn run<T>(
        &self,
        call: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
        error_in: impl FnOnce(&T) -> Option<RedisError>,
    ) -> RedisResult<T> {
        let Connector { target, block_time, replacements, .. } = &self.shared.connector;
        let until = Instant::now() + block_time.unwrap_or_default() + RESPONSE_TIMEOUT;
        let current = tokio::time::timeout_at(until, self.current())
            .await
            .map_err(|_elapsed| timed_out())??;
        let mut replacements = replacements.subscribe();
        let pending = current.liveness.command_sent(block_time.unwrap_or_default());
        // If the first branch is dropped, nobody knows whether the command ran. The others only watch.
        let result = tokio::select! {
            biased;
            result = call(current.connection.clone()) => result,
            () = current.silent.cancelled() => {
                return Err(aborted("the connection to Redis was silent and is replaced"));
            }
            // The sender lives as long as we do.
            _ = replacements.wait_for(|count| *count > current.replacements), if block_time.is_some() => {
                self.shared.discard(current.generation);
                return Err(aborted("another connection to the same server was silent; reconnecting"));
            }
            () = tokio::time::sleep_until(until) => return Err(timed_out()),
        };
        let error = match &result {
            Ok(value) => error_in(value),
            Err(error) => Some(error.clone()),
        };
        if result.is_ok() || error.as_ref().is_some_and(|error| error.code().is_some()) {
            pending.replied();
        } else {
            self.shared.discard(current.generation);
        }
        if matches!(target, Target::Master) && error.is_some_and(|error| is_no_master(error.kind()))
        {
            self.find_master(current.generation);
        }
        result
    }

    /// Looks for another master. A connection for blocking commands is discarded at once; a shared one stays in use until
    /// the new one is open.
    fn find_master(&self, generation: u64) {
        if self.shared.connector.block_time.is_some() {
            self.shared.discard(generation);
            return;
        }
        {
            let mut state = self.shared.state();
            if state.finding_master || !state.is_current(generation) {
                return;
            }
            state.finding_master = true;
        }
        let connection = self.clone();
        tokio::spawn(async move {
            let opened = open_hedged(|| connection.shared.connector.open().boxed()).await;
            connection.shared.state().finding_master = false;
            match opened {
                Ok(opened) => connection.shared.replace(generation, opened),
                Err(error) => tracing::debug!(error = %error, "cannot connect to a new master"),
            }
        });
    }
}

impl State {
    /// Whether this connection is the one in use. A caller that knows its number has waited for it, so it is open.
    fn is_current(&self, generation: u64) -> bool {
        let opened = self.current.as_ref().and_then(Opening::peek);
        opened.is_some_and(|opened| opened.as_ref().is_ok_and(|one| one.generation == generation))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a connection, unless another one is in use already.
    fn discard(&self, generation: u64) {
        let mut state = self.state();
        if state.is_current(generation) {
            state.current = None;
        }
    }

    /// Puts a new connection in place of an old one, unless another one is in use already.
    fn replace(self: &Arc<Self>, generation: u64, opened: MultiplexedConnection) {
        let mut state = self.state();
        if !state.is_current(generation) {
            return;
        }
        let connector = &self.connector;
        if connector.block_time.is_none() {
            connector.replacements.send_modify(|count| *count += 1);
        }
        let replacements = *connector.replacements.borrow();
        let current = OpenConnection::start(connector, Arc::downgrade(self), opened, replacements);
        state.current = Some(std::future::ready(Ok(current)).boxed().shared());
    }
}

impl OpenConnection {
    fn start(
        connector: &Connector,
        shared: Weak<Shared>,
        connection: MultiplexedConnection,
        replacements: u64,
    ) -> Arc<Self> {
        let generation = connector.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let liveness = Arc::<Liveness>::default();
        let silent = CancellationToken::new();
        let watch = tokio::spawn(replace_when_silent(
            connector.clone(),
            shared,
            generation,
            connection.clone(),
            Arc::clone(&liveness),
            silent.clone(),
        ));
        Arc::new(Self { generation, connection, liveness, silent, replacements, watch })
    }
}

/// Replaces a connection once it is silent. Ends with the connection.
async fn replace_when_silent(
    connector: Connector,
    shared: Weak<Shared>,
    generation: u64,
    mut connection: MultiplexedConnection,
    liveness: Arc<Liveness>,
    silent: CancellationToken,
) {
    let ping = redis::cmd("PING");
    loop {
        liveness.silent(connector.block_time.unwrap_or_default()).await;
        // A dropped first branch loses a reply that nobody needs, a dropped second one a connection that nobody uses.
        tokio::select! {
            biased;
            reply = connection.req_packed_command(&ping) => {
                if reply.is_err() {
                    // Broken: the next command notices, and reconnects.
                    return;
                }
                liveness.reply_received();
                liveness.mark_slow();
            }
            second = connector.open_second() => {
                let server = match &connector.target {
                    Target::Server(node) => node.addr().to_string(),
                    Target::Master => "the master".to_owned(),
                };
                tracing::warn!(redis = %server, "a connection to Redis is silent; it is replaced");
                if let Some(shared) = shared.upgrade() {
                    shared.replace(generation, second);
                }
                silent.cancel();
                return;
            }
        }
    }
}

fn aborted(why: &'static str) -> RedisError {
    RedisError::from(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, why))
}

/// Whether an error means that the connection does not lead to the master.
fn is_no_master(kind: ErrorKind) -> bool {
    use ServerErrorKind::{MasterDown, ReadOnly};
    matches!(kind, ErrorKind::Server(ReadOnly | MasterDown))
}

/// The error that a server sent in place of a value.
pub(super) fn server_error(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}

impl ConnectionLike for ReconnectingConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let call = async |mut live: MultiplexedConnection| live.req_packed_command(cmd).await;
        Box::pin(self.run(call, server_error))
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
        Box::pin(self.run(call, |values: &Vec<Value>| values.iter().find_map(server_error)))
    }

    fn get_db(&self) -> i64 {
        0
    }
}
