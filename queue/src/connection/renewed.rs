//! A connection that is made anew when it no longer leads to whom it should: to the master that Sentinel names, or into
//! a Cluster.
//!
//! A failover is noticed by its errors. A node that is frozen gives none: it only stays silent, and neither Sentinel's
//! client nor the Cluster's looks for another then. So an answer that does not come in time makes us look from the
//! address again. Until something is found a shared connection goes on being used, for in a Cluster it may still serve
//! most; a connection that waits in the server is let go at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
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

/// How often a call that waits follows its keys to another node.
const HOPS: usize = 3;

/// What is connected: one server (the master, or a node of a Cluster), or all of a Cluster.
#[derive(Clone)]
pub(super) enum Live {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

#[derive(Clone)]
pub(super) struct Renewed {
    shared: Arc<Shared>,
}

struct Shared {
    server: RedisServer,
    response_timeout: Duration,
    /// Whether its commands wait in the server. Then it lets go when another connection finds that the master moved, and
    /// in a Cluster it leads to one node only.
    blocks: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Counts connections, so that a late error drops only the one it came from.
    generation: u64,
    failed: Option<(Instant, RedisError)>,
    /// Whether a new connection is being made while the old one is still used.
    renewing: bool,
    /// Where a node said that the keys are.
    towards: Option<(String, u16)>,
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
            Live::One(_) => Ok(None),
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
        let towards = state.towards.take();
        match self.open(towards).await {
            Ok(live) => {
                state.put(live.clone());
                Ok((state.generation, live))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open(&self, towards: Option<(String, u16)>) -> RedisResult<Live> {
        let Shared { server, response_timeout, blocks, .. } = &*self.shared;
        // Boxed: what connects to a Cluster is a large future, and every command holds it.
        let opening = match *blocks && server.has_slots() {
            true => server.open_node(towards, *response_timeout).boxed(),
            false => server.open(*response_timeout).boxed(),
        };
        match tokio::time::timeout(LOOK_AT_MOST, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }

    /// Replaces a connection, unless that was done already. One that waits is let go at once; one that is shared goes
    /// on being used until there is another: in a Cluster it may still serve most.
    async fn replace(&self, generation: u64, towards: Option<(String, u16)>) {
        let mut state = self.shared.state.lock().await;
        if state.generation != generation || state.renewing || state.live.is_none() {
            return;
        }
        if self.shared.blocks {
            state.live = None;
            state.towards = towards;
            return;
        }
        state.renewing = true;
        drop(state);
        let renewed = self.clone();
        tokio::spawn(async move {
            let opened = renewed.open(None).await;
            let mut state = renewed.shared.state.lock().await;
            state.renewing = false;
            match opened {
                Ok(live) => {
                    state.put(live);
                    renewed.shared.server.moved.send_modify(|moves| *moves += 1);
                }
                Err(error) => tracing::debug!(error = %error, "Redis was looked for and not found"),
            }
        });
    }

    /// Runs `call` on what is connected. `refusal` finds what a server answered in place of a value.
    async fn with<T>(
        &self,
        call: impl AsyncFnOnce(Live) -> RedisResult<T>,
        refusal: impl FnOnce(&T) -> Option<RedisError>,
    ) -> RedisResult<T> {
        let mut moved = self.shared.server.moved.subscribe();
        let (generation, live) = self.live().await?;
        let follows = self.shared.blocks && !self.shared.server.has_slots();
        let result = tokio::select! {
            result = call(live) => result,
            () = server_moves(&mut moved), if follows => {
                Err(RedisError::from(std::io::Error::other("Redis was looked for anew")))
            }
        };
        let error = match &result {
            Ok(value) => refusal(value),
            Err(error) => Some(error.clone()),
        };
        if let Some(error) = error.filter(|error| leads_astray(error.kind())) {
            let towards = error.redirect_node().and_then(|(node, _slot)| address(node));
            self.replace(generation, towards).await;
        }
        result
    }
}

impl State {
    fn put(&mut self, live: Live) {
        self.generation += 1;
        self.failed = None;
        self.live = Some(live);
    }
}

/// `host:port`.
fn address(node: &str) -> Option<(String, u16)> {
    let (host, port) = node.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
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
            use ServerErrorKind::{MasterDown, Moved, ReadOnly};
            matches!(kind, ReadOnly | MasterDown | Moved)
        }
        _ => false,
    }
}

fn refusal(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}

impl Renewed {
    /// Whether a call that waits is worth repeating at once: it was told where its keys are.
    fn follows(&self, error: Option<&ErrorKind>) -> bool {
        self.shared.blocks && error == Some(&ErrorKind::Server(ServerErrorKind::Moved))
    }
}

impl ConnectionLike for Renewed {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut hops = 0;
            loop {
                let call = async |live| match live {
                    Live::One(mut connection) => connection.req_packed_command(cmd).await,
                    Live::Cluster(mut connection) => connection.req_packed_command(cmd).await,
                };
                let answer = self.with(call, refusal).await;
                let error = match &answer {
                    Ok(value) => refusal(value).map(|error| error.kind()),
                    Err(error) => Some(error.kind()),
                };
                if HOPS <= hops || !self.follows(error.as_ref()) {
                    return answer;
                }
                hops += 1;
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let call = async move |live| match live {
            Live::One(mut connection) => {
                connection.req_packed_commands(pipeline, offset, count).await
            }
            Live::Cluster(mut connection) => {
                connection.req_packed_commands(pipeline, offset, count).await
            }
        };
        Box::pin(self.with(call, |values: &Vec<Value>| values.iter().find_map(refusal)))
    }

    fn get_db(&self) -> i64 {
        0
    }
}
