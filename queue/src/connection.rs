//! Connections to Redis: one shared for short commands, own ones for commands that block.
//!
//! Where Redis is, and what each kind of place takes, is decided here alone: [`Connection`] runs commands on one
//! server, on the master that Sentinel names, or in a Cluster, and the rest of the crate does not ask which.

mod address;
pub(crate) mod check;
mod renewed;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use redis::aio::{
    ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection,
};
use redis::cluster::ClusterClient;
use redis::cluster_routing::{
    MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    Pipeline, RedisError, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use tokio::sync::watch;

use crate::error::ConnectError;
use address::{Address, Sentinels};
use renewed::{Live, Renewed};

/// A short command that has no answer after this long is given up: well within a lease.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection whose peer has not acknowledged what was sent for this long is broken: the machine is gone, not busy.
const PEER_IS_GONE: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// In a Cluster and behind Sentinel there is another to ask.
const CONNECT_TO_ONE_OF_SEVERAL: Duration = Duration::from_secs(1);
/// Nodes of a Cluster that are remembered.
const LEARNED_AT_MOST: usize = 1_000;
/// Longest pause between two attempts to reconnect, so that work goes on within 2 s of Redis being back.
const RECONNECT_AT_MOST: Duration = Duration::from_millis(500);
/// Pauses while a Cluster moves a slot or fails over.
const CLUSTER_PAUSES_MS: (u64, u64) = (20, 200);
/// Few: whoever asks tries again, and must not wait long for a node that is away.
const CLUSTER_ATTEMPTS: u32 = 5;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub(crate) struct RedisServer {
    address: Address,
    ca: Option<Vec<u8>>,
    /// Nodes of a Cluster that others named, so that it is found again when all that were configured are gone.
    learned: Arc<Mutex<BTreeSet<(String, u16)>>>,
    /// Counts how often a shared connection found that the server it led to is no longer the right one.
    moved: watch::Sender<u64>,
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
        let (ca, learned) = (ca.map(<[u8]>::to_vec), Arc::default());
        let server = Self { address, ca, learned, moved: watch::Sender::new(0) };
        let usable = match &server.address {
            Address::One(node) => server.client(node.clone()).map(drop),
            Address::Cluster(nodes) => server.cluster(nodes, RESPONSE_TIMEOUT).map(drop),
            Address::Sentinel(sentinels) => server.sentinel(sentinels).map(drop),
        };
        usable.map_err(|source| ConnectError::Address { source })?;
        Ok(server)
    }

    /// Whether keys of two slots may be on two servers, so that no command can name both.
    pub(crate) fn has_slots(&self) -> bool {
        matches!(self.address, Address::Cluster(_))
    }

    /// Whether it is one server, of which no replica is known.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.address, Address::One(_))
    }

    /// A connection for commands that answer at once; cloned freely, reconnects by itself.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn shared(&self) -> RedisResult<Connection> {
        self.connect(RESPONSE_TIMEOUT, false).await
    }

    /// A connection of its own for a command that waits up to `longest_wait` in the server. In a Cluster it leads to one
    /// node, and follows the keys that it is asked about.
    ///
    /// # Errors
    ///
    /// When the first connection fails.
    pub(crate) async fn blocking(&self, longest_wait: Duration) -> RedisResult<Connection> {
        self.connect(longest_wait + RESPONSE_TIMEOUT, true).await
    }

    /// A connection that listens to pub/sub channels. In a Cluster any node hears of every message.
    ///
    /// # Errors
    ///
    /// What the connection says.
    pub(crate) async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
        match &self.address {
            Address::One(node) => self.client(node.clone())?.get_async_pubsub().await,
            Address::Sentinel(sentinels) => {
                let client = self.sentinel(sentinels)?.async_get_client().await?;
                client.get_async_pubsub().await
            }
            Address::Cluster(_) => {
                let listen =
                    |client: Client| async move { client.get_async_pubsub().await }.boxed();
                self.any_node(None, listen).await
            }
        }
    }

    /// Opens something at the first node that lets itself be opened, `first` before all others.
    async fn any_node<T>(
        &self,
        first: Option<(String, u16)>,
        open: impl Fn(Client) -> BoxFuture<'static, RedisResult<T>>,
    ) -> RedisResult<T> {
        let mut last = RedisError::from((ErrorKind::Io, "no node of the Cluster answers"));
        for node in self.nodes(first) {
            let opening = open(self.client(node)?);
            match tokio::time::timeout(CONNECT_TO_ONE_OF_SEVERAL, opening).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => last = error,
                Err(_) => {}
            }
        }
        Err(last)
    }

    /// Where a node of the Cluster may be: `first`, as configured, and as learned.
    fn nodes(&self, first: Option<(String, u16)>) -> Vec<ConnectionInfo> {
        let Address::Cluster(configured) = &self.address else { return Vec::new() };
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let at = |(host, port): (String, u16)| {
            let like = configured.first()?;
            let address = match like.addr() {
                ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure: *insecure,
                    tls_params: tls_params.clone(),
                },
                _ => ConnectionAddr::Tcp(host, port),
            };
            Some(like.clone().set_addr(address))
        };
        let first = first.into_iter().filter_map(at);
        first.chain(configured.iter().cloned()).chain(learned.into_iter().filter_map(at)).collect()
    }

    fn learn(&self, nodes: impl IntoIterator<Item = (String, u16)>) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.extend(nodes);
        while LEARNED_AT_MOST < learned.len() {
            learned.pop_first();
        }
    }

    async fn connect(&self, response_timeout: Duration, blocks: bool) -> RedisResult<Connection> {
        let Address::One(node) = &self.address else {
            let renewed = Renewed::connect(self.clone(), response_timeout, blocks).await?;
            return Ok(Connection(Kind::Renewed(renewed)));
        };
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(RECONNECT_AT_MOST)
            .set_number_of_retries(3);
        let manager = ConnectionManager::new_with_config(self.client(node.clone())?, config);
        Ok(Connection(Kind::One(manager.await?)))
    }

    /// Looks for the master or the Cluster.
    async fn open(&self, response_timeout: Duration) -> RedisResult<Live> {
        let client = match &self.address {
            Address::Cluster(_) => {
                let client = self.cluster(&self.nodes(None), response_timeout)?;
                let mut connection = client.get_async_connection().await?;
                let slots = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await;
                if let Ok(slots) = slots {
                    self.learn(nodes_in(&slots));
                }
                return Ok(Live::Cluster(connection));
            }
            Address::One(node) => self.client(node.clone())?,
            Address::Sentinel(sentinels) => self.sentinel(sentinels)?.async_get_client().await?,
        };
        Ok(Live::One(connect_to(client, response_timeout).await?))
    }

    /// Opens a connection to one node of the Cluster, to `first` if it can be had.
    async fn open_node(
        &self,
        first: Option<(String, u16)>,
        response_timeout: Duration,
    ) -> RedisResult<Live> {
        self.learn(first.clone());
        let open = move |client| connect_to(client, response_timeout).boxed();
        Ok(Live::One(self.any_node(first, open).await?))
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

    fn cluster(
        &self,
        nodes: &[ConnectionInfo],
        response_timeout: Duration,
    ) -> RedisResult<ClusterClient> {
        let (shortest, longest) = CLUSTER_PAUSES_MS;
        let builder = ClusterClient::builder(nodes.iter().cloned())
            .connection_timeout(CONNECT_TO_ONE_OF_SEVERAL)
            .response_timeout(response_timeout)
            .tcp_settings(tcp_settings())
            .min_retry_wait(shortest)
            .max_retry_wait(longest)
            .retries(CLUSTER_ATTEMPTS);
        match self.certificates() {
            Some(certificates) => builder.certs(certificates).build(),
            None => builder.build(),
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

async fn connect_to(
    client: Client,
    response_timeout: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TO_ONE_OF_SEVERAL))
        .set_response_timeout(Some(response_timeout));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// The nodes in an answer to CLUSTER SLOTS: arrays that begin with a host and a port.
fn nodes_in(value: &Value) -> Vec<(String, u16)> {
    let Value::Array(items) = value else { return Vec::new() };
    match items.as_slice() {
        [Value::BulkString(host), Value::Int(port), ..] => {
            let host = String::from_utf8_lossy(host).into_owned();
            let port = u16::try_from(*port).ok().filter(|_| !host.is_empty());
            port.map(|port| (host, port)).into_iter().collect()
        }
        items => items.iter().flat_map(nodes_in).collect(),
    }
}

/// A connection that breaks when the other machine is gone, instead of waiting for it for a quarter of an hour. A server
/// that is frozen or busy still acknowledges what it is sent.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
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
    One(ConnectionManager),
    Renewed(Renewed),
}

impl Connection {
    /// Whether Redis answers; in a Cluster, whether one of its masters does.
    pub(crate) async fn ping(&self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        let cluster = match &self.0 {
            Kind::Renewed(renewed) => renewed.cluster().await?,
            Kind::One(_) => None,
        };
        match cluster {
            None => ping.query_async(&mut self.clone()).await,
            Some(mut cluster) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                cluster.route_command(ping, any).await?.extract_error().map(drop)
            }
        }
    }

    /// What each master says about itself.
    pub(crate) async fn info(&self, sections: &[&str]) -> RedisResult<Vec<String>> {
        let mut info = redis::cmd("INFO");
        info.arg(sections);
        let cluster = match &self.0 {
            Kind::Renewed(renewed) => renewed.cluster().await?,
            Kind::One(_) => None,
        };
        let Some(mut cluster) = cluster else {
            return Ok(vec![info.query_async(&mut self.clone()).await?]);
        };
        let each = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        match cluster.route_command(info, each).await?.extract_error()? {
            Value::Map(nodes) => {
                nodes.into_iter().map(|(_, info)| Ok(String::from_redis_value(info)?)).collect()
            }
            other => Ok(vec![String::from_redis_value(other)?]),
        }
    }
}

impl Connection {
    /// Waits until a replica has what this connection wrote to `key`'s server, at most `at_most`, and says whether one
    /// has. Nothing is waited for on one server, which is known to have none.
    ///
    /// Other commands of the connection wait as well.
    pub(crate) async fn replicated(&self, key: &str, at_most: Duration) -> RedisResult<bool> {
        let Kind::Renewed(renewed) = &self.0 else { return Ok(true) };
        let mut wait = redis::cmd("WAIT");
        wait.arg(1).arg(u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX));
        let replicas: u64 = match renewed.cluster().await? {
            None => wait.query_async(&mut self.clone()).await?,
            Some(mut cluster) => {
                let owner = Route::with_key(key, SlotAddr::Master);
                let owner = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(owner));
                u64::from_redis_value(cluster.route_command(wait, owner).await?)?
            }
        };
        Ok(0 < replicas)
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Kind::One(connection) => connection.req_packed_command(cmd),
            Kind::Renewed(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Kind::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Kind::Renewed(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::One(connection) => connection.get_db(),
            Kind::Renewed(connection) => connection.get_db(),
        }
    }
}
