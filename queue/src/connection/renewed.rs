//! A connection that is made anew when it no longer leads to the master that Sentinel names.
//!
//! A failover is noticed by its errors. A server that is frozen gives none: it only stays silent, and Sentinel's client
//! does not look for another then. So an answer that does not come in time makes us look again. Until something is
//! found a shared connection goes on being used; one that waits in the server is let go at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::{RedisServer, refusal};

/// Looking for the master may take this long: a Sentinel that is silent is given a second.
const LOOK_AT_MOST: Duration = Duration::from_secs(5);
/// After an attempt to connect that failed, the next waits this long: one for all who ask meanwhile.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct Renewed {
    shared: Arc<Shared>,
}

struct Shared {
    server: RedisServer,
    response_timeout: Duration,
    /// Whether its commands wait in the server. Then it lets go when another connection finds that the master moved.
    blocks: bool,
    state: Mutex<State>,
    /// Counts connections, so that a late error drops only the one it came from.
    generation: AtomicU64,
}

#[derive(Default)]
struct State {
    live: Option<MultiplexedConnection>,
    failed: Option<(Instant, RedisError)>,
    /// Whether a new connection is being made while the old one is still used.
    renewing: bool,
}

impl fmt::Debug for Renewed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Renewed").finish_non_exhaustive()
    }
}

impl Renewed {
    /// Connects for the first time.
    pub(super) async fn connect(
        server: RedisServer,
        response_timeout: Duration,
        blocks: bool,
    ) -> RedisResult<Self> {
        let shared = Shared {
            server,
            response_timeout,
            blocks,
            state: Mutex::default(),
            generation: AtomicU64::new(0),
        };
        let renewed = Self { shared: Arc::new(shared) };
        renewed.live().await?;
        Ok(renewed)
    }

    /// Which connection it is.
    pub(super) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Relaxed)
    }

    /// What is connected now; connects when nothing is.
    async fn live(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut state = self.shared.state.lock().await;
        if let Some(live) = &state.live {
            return Ok((self.generation(), live.clone()));
        }
        if let Some((at, error)) = &state.failed
            && at.elapsed() < AFTER_FAILURE
        {
            return Err(error.clone());
        }
        match self.open().await {
            Ok(live) => {
                self.shared.put(&mut state, live.clone());
                Ok((self.generation(), live))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let opening = self.shared.server.open_master(self.shared.response_timeout);
        match tokio::time::timeout(LOOK_AT_MOST, Box::pin(opening)).await {
            Ok(opened) => opened,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }

    /// Replaces a connection, unless that was done already. One that waits is let go at once; one that is shared goes
    /// on being used until there is another.
    async fn replace(&self, generation: u64) {
        let mut state = self.shared.state.lock().await;
        if self.generation() != generation || state.renewing || state.live.is_none() {
            return;
        }
        if self.shared.blocks {
            state.live = None;
            return;
        }
        state.renewing = true;
        drop(state);
        let renewed = self.clone();
        tokio::spawn(async move {
            let opened = renewed.open().await;
            let mut state = renewed.shared.state.lock().await;
            state.renewing = false;
            match opened {
                Ok(live) => {
                    renewed.shared.put(&mut state, live);
                    renewed.shared.server.moved.send_modify(|moves| *moves += 1);
                }
                Err(error) => tracing::debug!(error = %error, "Redis was looked for and not found"),
            }
        });
    }

    /// Runs `call` on what is connected. `refusal` finds what a server answered in place of a value.
    async fn with<T>(
        &self,
        call: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
        refusal: impl FnOnce(&T) -> Option<RedisError>,
    ) -> RedisResult<T> {
        let mut moved = self.shared.server.moved.subscribe();
        let (generation, live) = self.live().await?;
        let result = tokio::select! {
            result = call(live) => result,
            () = server_moves(&mut moved), if self.shared.blocks => {
                Err(RedisError::from(std::io::Error::other("Redis was looked for anew")))
            }
        };
        let error = match &result {
            Ok(value) => refusal(value),
            Err(error) => Some(error.clone()),
        };
        if error.is_some_and(|error| leads_astray(error.kind())) {
            self.replace(generation).await;
        }
        result
    }
}

impl Shared {
    fn put(&self, state: &mut State, live: MultiplexedConnection) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        state.failed = None;
        state.live = Some(live);
    }
}

/// Returns when another connection finds that the server moved.
async fn server_moves(moved: &mut watch::Receiver<u64>) {
    if moved.changed().await.is_err() {
        std::future::pending::<()>().await; // The sender lives as long as the server's address.
    }
}

/// Whether an error means that the connection does not lead to whom it should.
fn leads_astray(kind: ErrorKind) -> bool {
    use ServerErrorKind::{MasterDown, ReadOnly};
    matches!(kind, ErrorKind::Io | ErrorKind::Server(ReadOnly | MasterDown))
}

impl ConnectionLike for Renewed {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let call = async |mut live: MultiplexedConnection| live.req_packed_command(cmd).await;
        Box::pin(self.with(call, refusal))
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
        Box::pin(self.with(call, |values: &Vec<Value>| values.iter().find_map(refusal)))
    }

    fn get_db(&self) -> i64 {
        0
    }
}
