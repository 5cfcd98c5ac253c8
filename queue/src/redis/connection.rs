//! Connections to Redis: one shared for short commands, own ones for commands that block.
//!
//! Where Redis is, and what each kind of place takes, is decided here alone: [`Connection`] runs commands on one
//! server, on the master that Sentinel names, or in a Cluster, and the rest of the crate does not ask which.

mod address;
pub(crate) mod check;
mod cluster;
mod opening;
mod reconnecting;
mod slots;
mod subscription;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    Pipeline, RedisError, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::sync::watch;

use crate::error::ConnectError;
use address::{Address, Sentinels};
use cluster::{Cluster, Topology};
use opening::{OPEN_AT_MOST, open_soon};
use reconnecting::{Renewed, To};
use slots::Node;
pub(crate) use subscription::Listening;

/// A short command that has no answer after this long is given up: well within a lease. A connection that is silent is
/// replaced before that ([`reconnecting`]).
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);
/// A connection whose peer has not acknowledged what was sent for this long is broken: the machine is gone, not busy.
const PEER_IS_GONE: Duration = Duration::from_secs(2);
/// A connection on which nothing moves is asked for a sign of life after this long, and then this often. It costs a
/// packet, and keeps a firewall from forgetting it.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));
/// A node of a Cluster is asked for its map; there are others to ask.
const ASK_ONE_OF_SEVERAL: Duration = Duration::from_secs(1);

/// How to reach Redis.
#[derive(Debug, Clone)]
pub(crate) struct RedisServer {
    address: Address,
    ca: Option<Vec<u8>>,
    /// What is known of a Cluster.
    topology: Arc<Topology>,
    /// Counts, by place, how often a shared connection was replaced though it did not break.
    moves: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
}

impl RedisServer {
    /// Reads an address: `redis://[user:password@]host[:port][/db]`, `redis-cluster://host,host,…` or
    /// `redis-sentinel://host,host,…/db?master=NAME`, each with `rediss` for TLS. `ca` is the certificate (PEM) that
    /// the servers' must be signed by; without it the system's certificates count.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Address`] when it does not parse or the certificate cannot be used.
    pub(crate) fn new(url: &str, ca: Option<&[u8]>) -> Result<Self, ConnectError> {
        // The first call decides for the process; a later one finds the same there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = address::read(url).map_err(|source| ConnectError::Address { source })?;
        let (ca, topology) = (ca.map(<[u8]>::to_vec), Arc::new(Topology::new()));
        let server = Self { address, ca, topology, moves: Arc::default() };
        let usable = match &server.address {
            Address::One(node) => server.client(node.clone()).map(drop),
            Address::Cluster(nodes) => {
                nodes.iter().try_for_each(|node| server.client(node.clone()).map(drop))
            }
            Address::Sentinel(sentinels) => server.sentinel(sentinels).map(drop),
        };
        usable.map_err(|source| ConnectError::Address { source })?;
        Ok(server)
    }

    /// Whether keys of two slots may be on two servers, so that no command can name both.
    pub(crate) fn has_slots(&self) -> bool {
        matches!(self.address, Address::Cluster(_))
    }

    /// A connection for commands that answer at once; cloned freely, reconnects by itself.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn shared(&self) -> RedisResult<Connection> {
        self.connect(None).await
    }

    /// A connection of its own for a command that waits up to `longest_wait` in the server. In a Cluster it leads to one
    /// node, and follows the keys that it is asked about.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn blocking(&self, longest_wait: Duration) -> RedisResult<Connection> {
        self.connect(Some(longest_wait)).await
    }

    /// Notices on a pub/sub channel, from now on. In a Cluster any node hears of every message.
    pub(crate) fn listen(&self, channel: String) -> Listening {
        Listening::start(self.clone(), channel)
    }

    async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
        match &self.address {
            Address::One(node) => self.client(node.clone())?.get_async_pubsub().await,
            Address::Sentinel(sentinels) => {
                let client = self.sentinel(sentinels)?.async_get_client().await?;
                client.get_async_pubsub().await
            }
            Address::Cluster(_) => {
                let listen = self.nodes().into_iter().map(|node| {
                    let client = self.client(node);
                    async move { client?.get_async_pubsub().await }.boxed()
                });
                Ok(futures::future::select_ok(listen).await?.0)
            }
        }
    }

    /// Where nodes of the Cluster may be: as configured, and as learned.
    fn nodes(&self) -> Vec<ConnectionInfo> {
        let Address::Cluster(configured) = &self.address else { return Vec::new() };
        let learned = self.topology.learned().into_iter().filter_map(|node| self.at(node).ok());
        let learned: Vec<_> =
            learned.filter(|node| configured.iter().all(|one| one.addr() != node.addr())).collect();
        [configured.clone(), learned].concat()
    }

    /// A node of the Cluster, reached like those that are configured.
    fn at(&self, (host, port): Node) -> RedisResult<ConnectionInfo> {
        let like = match &self.address {
            Address::Cluster(configured) => configured.first(),
            _ => None,
        };
        let Some(like) = like else {
            return Err(RedisError::from((ErrorKind::InvalidClientConfig, "it is no Cluster")));
        };
        let address = match like.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(like.clone().set_addr(address))
    }

    /// `waits` is how long its commands wait in the server, if they do.
    async fn connect(&self, waits: Option<Duration>) -> RedisResult<Connection> {
        let kind = match &self.address {
            Address::One(node) => {
                Kind::One(Renewed::connect(self, To::Server(Box::new(node.clone())), waits).await?)
            }
            Address::Sentinel(_) => {
                Kind::Sentinel(Renewed::connect(self, To::Master, waits).await?)
            }
            Address::Cluster(_) => Kind::Cluster(Cluster::connect(self.clone(), waits).await?),
        };
        Ok(Connection(kind))
    }

    async fn open_node(&self, node: ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        connect_to(self.client(node)?, OPEN_AT_MOST, None).await
    }

    /// Connects to the master that Sentinel names.
    async fn open_master(&self) -> RedisResult<MultiplexedConnection> {
        let Address::Sentinel(sentinels) = &self.address else {
            return Err(RedisError::from((ErrorKind::InvalidClientConfig, "it is no Sentinel")));
        };
        let client = self.sentinel(sentinels)?.async_get_client().await?;
        connect_to(client, OPEN_AT_MOST, None).await
    }

    /// Counts how often connections to a place were replaced though they did not break.
    fn moves(&self, to: &To) -> watch::Sender<u64> {
        let place = match to {
            To::Server(node) => node.addr().to_string(),
            To::Master => String::new(),
        };
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        moves.entry(place).or_default().clone()
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = Some(self.ca.clone()?);
        Some(TlsCertificates { client_tls: None, root_cert })
    }

    fn client(&self, node: ConnectionInfo) -> RedisResult<Client> {
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(node, certificates),
            None => Client::open(node),
        }
    }

    fn sentinel(&self, sentinels: &Sentinels) -> RedisResult<redis::sentinel::SentinelClient> {
        let addresses = sentinels.nodes.iter().map(|node| node.addr().clone());
        let mut builder =
            SentinelClientBuilder::new(addresses, &sentinels.master, SentinelServerType::Master)?
                .set_client_to_redis_tcp_settings(tcp_settings())
                .set_client_to_sentinel_tcp_settings(tcp_settings());
        let to_master = sentinels.to_master.redis_settings();
        builder = builder.set_client_to_redis_db(to_master.db());
        if let Some(user) = to_master.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = to_master.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        let to_sentinel = sentinels.nodes.first().map(ConnectionInfo::redis_settings);
        if let Some(user) = to_sentinel.and_then(redis::RedisConnectionInfo::username) {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = to_sentinel.and_then(redis::RedisConnectionInfo::password) {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if matches!(sentinels.to_master.addr(), ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = self.certificates() {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates);
            }
        }
        builder.build()
    }
}

/// Without a limit for responses whoever asks has its own.
async fn connect_to(
    client: Client,
    connect_at_most: Duration,
    response_at_most: Option<Duration>,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_at_most))
        .set_response_timeout(response_at_most);
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// What a server answered in place of a value.
fn refusal(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}

/// A connection that breaks when the other machine is gone, instead of waiting for it for a quarter of an hour. A server
/// that is frozen or busy still acknowledges what it is sent.
fn tcp_settings() -> TcpSettings {
    let (first, then) = KEEP_ALIVE;
    let keep_alive = TcpKeepalive::new().with_time(first).with_interval(then);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keep_alive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(PEER_IS_GONE);
    settings
}

/// Runs commands on whatever the address leads to. Cloning is cheap; clones share what is connected, and it is
/// connected again by itself.
#[derive(Debug, Clone)]
pub struct Connection(Kind);

#[derive(Debug, Clone)]
enum Kind {
    One(Renewed),
    Sentinel(Renewed),
    Cluster(Cluster),
}

impl Connection {
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
            Kind::Sentinel(renewed) => Some(renewed.generation().to_string()),
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
        Ok(0 < replicas)
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
