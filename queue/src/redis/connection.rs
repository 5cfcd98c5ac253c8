//! Connections to Redis: one shared for short commands, and separate ones for commands that block.
//!
//! [`Connection`] runs commands on one server, on the master that Sentinel names, or in a Cluster. No other module needs to
//! know which.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, RedisResult, Value};

use crate::redis::address::Address;
use crate::redis::cluster::Cluster;
use crate::redis::reconnecting::ReconnectingConnection;
use crate::redis::server::{RedisServer, Target};

/// Runs commands on the configured Redis, and reconnects when needed. Cloning is cheap; clones share the connection.
#[derive(Debug, Clone)]
pub struct Connection(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Single(ReconnectingConnection),
    Sentinel(ReconnectingConnection),
    Cluster(Cluster),
}

impl Connection {
    /// A connection for commands that return at once.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn shared(server: &RedisServer) -> RedisResult<Self> {
        Self::open(server, None).await
    }

    /// A separate connection for commands that block in the server for up to `max_block`. In a Cluster it leads to the
    /// node that owns the command's keys.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn blocking(server: &RedisServer, max_block: Duration) -> RedisResult<Self> {
        Self::open(server, Some(max_block)).await
    }

    /// `block_time` is how long its commands block in the server, if they do.
    async fn open(server: &RedisServer, block_time: Option<Duration>) -> RedisResult<Self> {
        let kind = match server.address() {
            Address::Single(node) => {
                let target = Target::Server(Box::new(node.clone()));
                Kind::Single(ReconnectingConnection::connect(server, target, block_time).await?)
            }
            Address::Sentinel(_) => Kind::Sentinel(
                ReconnectingConnection::connect(server, Target::Master, block_time).await?,
            ),
            Address::Cluster(_) => {
                Kind::Cluster(Cluster::connect(server.clone(), block_time).await?)
            }
        };
        Ok(Self(kind))
    }

    /// Whether Redis answers; in a Cluster, whether one of its masters does.
    pub(crate) async fn ping(&self) -> RedisResult<()> {
        match &self.0 {
            Kind::Cluster(cluster) => cluster.ping().await,
            _ => redis::cmd("PING").query_async(&mut self.clone()).await,
        }
    }

    /// The `INFO` of each master.
    pub(crate) async fn info(&self, sections: &[&str]) -> RedisResult<Vec<String>> {
        let mut info = redis::cmd("INFO");
        info.arg(sections);
        match &self.0 {
            Kind::Cluster(cluster) => {
                let answers = cluster.ask_masters(&info).await?;
                answers.into_iter().map(|info| Ok(String::from_redis_value(info)?)).collect()
            }
            _ => Ok(vec![info.query_async(&mut self.clone()).await?]),
        }
    }

    /// The server that owns a key, by a name that changes when another server takes over. None for a single server, which has
    /// no replica that could.
    pub(crate) fn server_of(&self, key: &str) -> Option<String> {
        match &self.0 {
            Kind::Single(_) => None,
            Kind::Sentinel(connection) => Some(connection.generation().to_string()),
            Kind::Cluster(cluster) => Some(cluster.owner_of(key)),
        }
    }

    /// Waits, for at most `max_wait`, until a replica has what this connection wrote to `key`'s server. Returns whether one has.
    /// Returns true at once for a single server, which has no replica.
    ///
    /// Other commands on the connection wait as well.
    pub(crate) async fn replicated(&self, key: &str, max_wait: Duration) -> RedisResult<bool> {
        let mut wait = redis::cmd("WAIT");
        wait.arg(1).arg(u64::try_from(max_wait.as_millis()).unwrap_or(u64::MAX));
        let replicas: u64 = match &self.0 {
            Kind::Single(_) => return Ok(true),
            Kind::Sentinel(_) => wait.query_async(&mut self.clone()).await?,
            Kind::Cluster(cluster) => u64::from_redis_value(cluster.ask_owner(key, &wait).await?)?,
        };
        Ok(replicas > 0)
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Kind::Single(connection) | Kind::Sentinel(connection) => {
                connection.req_packed_command(cmd)
            }
            Kind::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Kind::Single(connection) | Kind::Sentinel(connection) => {
                connection.req_packed_commands(pipeline, offset, count)
            }
            Kind::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::Single(connection) | Kind::Sentinel(connection) => connection.get_db(),
            Kind::Cluster(connection) => connection.get_db(),
        }
    }
}
