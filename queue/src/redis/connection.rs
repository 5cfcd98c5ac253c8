//! Connections to Redis: one shared for short commands, own ones for commands that block.
//!
//! Where Redis is, and what each kind of place takes, is decided here alone: [`Connection`] runs commands on one
//! server, on the master that Sentinel names, or in a Cluster, and the rest of the crate does not ask which.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, RedisResult, Value};

use crate::redis::address::Address;
use crate::redis::cluster::Cluster;
use crate::redis::reconnecting::Reconnecting;
use crate::redis::server::{RedisServer, Target};

/// Runs commands on whatever the address leads to. Cloning is cheap; clones share what is connected, and it is
/// connected again by itself.
#[derive(Debug, Clone)]
pub struct Connection(Kind);

#[derive(Debug, Clone)]
enum Kind {
    One(Reconnecting),
    Sentinel(Reconnecting),
    Cluster(Cluster),
}

impl Connection {
    /// A connection for commands that answer at once; cloned freely, reconnects by itself.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn shared(server: &RedisServer) -> RedisResult<Self> {
        Self::open(server, None).await
    }

    /// A connection of its own for a command that waits up to `longest_wait` in the server. In a Cluster it leads to one
    /// node, and follows the keys that it is asked about.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn blocking(
        server: &RedisServer,
        longest_wait: Duration,
    ) -> RedisResult<Self> {
        Self::open(server, Some(longest_wait)).await
    }

    /// `waits` is how long its commands wait in the server, if they do.
    async fn open(server: &RedisServer, waits: Option<Duration>) -> RedisResult<Self> {
        let kind = match server.address() {
            Address::One(node) => {
                let target = Target::Server(Box::new(node.clone()));
                Kind::One(Reconnecting::connect(server, target, waits).await?)
            }
            Address::Sentinel(_) => {
                Kind::Sentinel(Reconnecting::connect(server, Target::Master, waits).await?)
            }
            Address::Cluster(_) => Kind::Cluster(Cluster::connect(server.clone(), waits).await?),
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

    /// What each master says about itself.
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

    /// Who has a key, by a name that changes when somebody else has; nothing on one server, of which no replica is known.
    pub(crate) fn server_of(&self, key: &str) -> Option<String> {
        match &self.0 {
            Kind::One(_) => None,
            Kind::Sentinel(connection) => Some(connection.generation().to_string()),
            Kind::Cluster(cluster) => Some(cluster.owner_of(key)),
        }
    }

    /// Waits until a replica has what this connection wrote to `key`'s server, at most `at_most`, and says whether one
    /// has. Nothing is waited for on one server, which is known to have none.
    ///
    /// Other commands of the connection wait as well.
    pub(crate) async fn replicated(&self, key: &str, at_most: Duration) -> RedisResult<bool> {
        let mut wait = redis::cmd("WAIT");
        wait.arg(1).arg(u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX));
        let replicas: u64 = match &self.0 {
            Kind::One(_) => return Ok(true),
            Kind::Sentinel(_) => wait.query_async(&mut self.clone()).await?,
            Kind::Cluster(cluster) => u64::from_redis_value(cluster.ask_owner(key, &wait).await?)?,
        };
        Ok(replicas > 0)
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Kind::One(connection) | Kind::Sentinel(connection) => {
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
            Kind::One(connection) | Kind::Sentinel(connection) => {
                connection.req_packed_commands(pipeline, offset, count)
            }
            Kind::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::One(connection) | Kind::Sentinel(connection) => connection.get_db(),
            Kind::Cluster(connection) => connection.get_db(),
        }
    }
}
