//! A connection that is made anew when it no longer leads to whom it should: to the master that Sentinel names, or into
//! a Cluster.
//!
//! A failover is noticed by its errors. A node that is frozen gives none: it only stays silent, and neither Sentinel's
//! client nor the Cluster's looks for another then. So whoever gets no answer in time drops the connection here, and
//! the next command begins from the address again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::RedisServer;

/// Looking for Redis may take this long: a Sentinel or a node that is silent is given a second each.
const LOOK_AT_MOST: Duration = Duration::from_secs(5);
/// After an attempt to connect that failed, the next waits this long: one for all who ask meanwhile.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What is connected.
#[derive(Clone)]
pub(super) enum Live {
    Master(MultiplexedConnection),
    Cluster(ClusterConnection),
}

#[derive(Clone)]
pub(super) struct Renewed {
    shared: Arc<Shared>,
}

struct Shared {
    server: RedisServer,
    response_timeout: Duration,
    /// Whether its commands wait in the server: then it lets go when another connection finds that the server moved.
    blocks: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Counts connections, so that a late error drops only the one it came from.
    generation: u64,
    failed: Option<(Instant, RedisError)>,
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
        let shared = Shared { server, response_timeout, blocks, state: Mutex::default() };
        let renewed = Self { shared: Arc::new(shared) };
        renewed.live().await?;
        Ok(renewed)
    }

    /// The connection to a Cluster, when it is one.
    pub(super) async fn cluster(&self) -> RedisResult<Option<ClusterConnection>> {
        match self.live().await?.1 {
            Live::Cluster(cluster) => Ok(Some(cluster)),
            Live::Master(_) => Ok(None),
        }
    }

    /// What is connected now; connects when nothing is.
    async fn live(&self) -> RedisResult<(u64, Live)> {
        let mut state = self.shared.state.lock().await;
        if let Some(live) = &state.live {
            return Ok((state.generation, live.clone()));
        }
        if let Some((at, error)) = &state.failed
            && at.elapsed() < AFTER_FAILURE
        {
            return Err(error.clone());
        }
        let connecting = self.shared.server.open(self.shared.response_timeout);
        let opened = match tokio::time::timeout(LOOK_AT_MOST, connecting).await {
            Ok(opened) => opened,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        };
        match opened {
            Ok(live) => {
                state.generation += 1;
                state.failed = None;
                state.live = Some(live.clone());
                Ok((state.generation, live))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Lets a connection go, unless that was done already.
    async fn discard(&self, generation: u64) {
        let mut state = self.shared.state.lock().await;
        if state.generation == generation && state.live.take().is_some() && !self.shared.blocks {
            self.shared.server.moved.send_modify(|moves| *moves += 1);
        }
    }

    /// Runs `call` on what is connected. `refusal` finds what a server answered in place of a value.
    async fn with<T>(
        &self,
        call: impl AsyncFnOnce(Live) -> RedisResult<T>,
        refusal: impl FnOnce(&T) -> Option<ErrorKind>,
    ) -> RedisResult<T> {
        let mut moved = self.shared.server.moved.subscribe();
        let (generation, live) = self.live().await?;
        let result = tokio::select! {
            result = call(live) => result,
            () = server_moves(&mut moved), if self.shared.blocks => {
                Err(RedisError::from(std::io::Error::other("Redis was looked for anew")))
            }
        };
        let kind = match &result {
            Ok(value) => refusal(value),
            Err(error) => Some(error.kind()),
        };
        if kind.is_some_and(leads_astray) {
            self.discard(generation).await;
        }
        result
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
    match kind {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => true,
        ErrorKind::Server(kind) => {
            matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        }
        _ => false,
    }
}

fn refusal(value: &Value) -> Option<ErrorKind> {
    match value {
        Value::ServerError(error) => error.kind().map(ErrorKind::Server),
        _ => None,
    }
}

impl ConnectionLike for Renewed {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.with(
            async move |live| match live {
                Live::Master(mut connection) => connection.req_packed_command(cmd).await,
                Live::Cluster(mut connection) => connection.req_packed_command(cmd).await,
            },
            refusal,
        ))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.with(
            async move |live| match live {
                Live::Master(mut connection) => {
                    connection.req_packed_commands(pipeline, offset, count).await
                }
                Live::Cluster(mut connection) => {
                    connection.req_packed_commands(pipeline, offset, count).await
                }
            },
            |values: &Vec<Value>| values.iter().find_map(refusal),
        ))
    }

    fn get_db(&self) -> i64 {
        0
    }
}
