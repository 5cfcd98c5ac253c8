//! How a reconnecting connection is opened, and how a second one is opened beside a silent one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::FutureExt;
use redis::RedisResult;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use tokio::sync::watch;

use crate::redis::hedged_open::open_hedged;
use crate::redis::server::{RedisServer, Target};
use crate::redis::time::{RESPONSE_TIMEOUT, timed_out};

/// A silent connection is pinged alone for this long before a second one is opened. A process that was frozen finds its
/// replies waiting.
const SECOND_CONNECTION_DELAY: Duration = Duration::from_millis(100);
/// Pause after a second connection that failed. Longer than for the first, because no caller waits for it.
const SECOND_CONNECTION_RETRY: Duration = Duration::from_millis(300);

/// Opens connections to one target.
#[derive(Clone)]
pub(super) struct Connector {
    server: RedisServer,
    pub(super) target: Target,
    /// How long commands block in the server, if they do. Such a connection is discarded when another one to the same target
    /// was replaced: the same fault may have hit both.
    pub(super) block_time: Option<Duration>,
    /// Counts connections to the target that were replaced although they had not broken.
    pub(super) replacements: watch::Sender<u64>,
    /// Counts connections, so that a late error discards only the connection that it came from.
    pub(super) generations: Arc<AtomicU64>,
}

impl Connector {
    pub(super) fn new(server: &RedisServer, target: Target, block_time: Option<Duration>) -> Self {
        let replacements = server.replacements(&target);
        let generations = Arc::default();
        Self { server: server.clone(), target, block_time, replacements, generations }
    }

    pub(super) async fn open(&self) -> RedisResult<MultiplexedConnection> {
        match &self.target {
            Target::Server(node) => self.server.open_node((**node).clone()).await,
            Target::Master => self.server.open_master().await,
        }
    }

    /// Opens a second connection, and returns it once it has replied to a ping.
    pub(super) async fn open_second(&self) -> MultiplexedConnection {
        tokio::time::sleep(SECOND_CONNECTION_DELAY).await;
        loop {
            let replying = async {
                let mut connection = open_hedged(|| self.open().boxed()).await?;
                let ping = redis::cmd("PING");
                let reply = connection.req_packed_command(&ping);
                tokio::time::timeout(RESPONSE_TIMEOUT, reply)
                    .await
                    .map_err(|_elapsed| timed_out())??;
                RedisResult::Ok(connection)
            };
            match replying.await {
                Ok(connection) => return connection,
                Err(error) => {
                    tracing::debug!(error = %error, "a silent connection to Redis cannot be replaced yet");
                    tokio::time::sleep(SECOND_CONNECTION_RETRY).await;
                }
            }
        }
    }
}
