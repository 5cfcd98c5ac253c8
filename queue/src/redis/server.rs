//! The configured Redis, and how connections to it are opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, TlsCertificates, TlsMode,
};
use tokio::sync::watch;

use crate::error::ConnectError;
use crate::redis::address::{self, Address, Sentinels};
use crate::redis::hedged_open::OPEN_TIMEOUT;
use crate::redis::slots::Node;
use crate::redis::tcp::tcp_settings;
use crate::redis::topology::Topology;

/// What a connection leads to.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// This server.
    Server(Box<ConnectionInfo>),
    /// The master that Sentinel names.
    Master,
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub(crate) struct RedisServer {
    address: Address,
    ca: Option<Vec<u8>>,
    /// The slot map of a Cluster.
    pub(super) topology: Arc<Topology>,
    /// For each target, how often a shared connection was replaced although it had not broken.
    replacements: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
}

impl RedisServer {
    /// Parses an address: `redis://[user:password@]host[:port][/db]`, `redis-cluster://host,host,…` or
    /// `redis-sentinel://host,host,…/db?master=NAME`, each with `rediss` for TLS. `ca` is the certificate (PEM) that
    /// the server's certificate must be signed by; without it the system's certificates are used.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Address`] when it does not parse or the certificate cannot be used.
    pub(crate) fn new(url: &str, ca: Option<&[u8]>) -> Result<Self, ConnectError> {
        // Fails if a provider is installed already, which is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = address::parse(url).map_err(|source| ConnectError::Address { source })?;
        let ca = ca.map(<[u8]>::to_vec);
        let topology = Arc::new(Topology::new());
        let server = Self { address, ca, topology, replacements: Arc::default() };
        let checked = match &server.address {
            Address::Single(node) => server.client(node.clone()).map(drop),
            Address::Cluster(nodes) => {
                nodes.iter().try_for_each(|node| server.client(node.clone()).map(drop))
            }
            Address::Sentinel(sentinels) => server.sentinel(sentinels).map(drop),
        };
        checked.map_err(|source| ConnectError::Address { source })?;
        Ok(server)
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether this is a Cluster: keys of two slots may be on two servers, and no command can name both.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.address, Address::Cluster(_))
    }

    pub(super) async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
        match &self.address {
            Address::Single(node) => self.client(node.clone())?.get_async_pubsub().await,
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

    /// The configured nodes of the Cluster, and those seen since.
    pub(super) fn nodes(&self) -> Vec<ConnectionInfo> {
        let Address::Cluster(configured) = &self.address else { return Vec::new() };
        let seen =
            self.topology.seen_nodes().into_iter().filter_map(|node| self.node_at(node).ok());
        let seen: Vec<_> =
            seen.filter(|node| configured.iter().all(|one| one.addr() != node.addr())).collect();
        [configured.clone(), seen].concat()
    }

    /// A node of the Cluster, reached like the configured ones.
    pub(super) fn node_at(&self, (host, port): Node) -> RedisResult<ConnectionInfo> {
        let configured = match &self.address {
            Address::Cluster(configured) => configured.first(),
            _ => None,
        };
        let Some(configured) = configured else {
            return Err(RedisError::from((
                ErrorKind::InvalidClientConfig,
                "the address is not that of a Cluster",
            )));
        };
        let address = match configured.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(configured.clone().set_addr(address))
    }

    pub(super) async fn open_node(
        &self,
        node: ConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        connect_to(self.client(node)?, OPEN_TIMEOUT, None).await
    }

    /// Connects to the master that Sentinel names.
    pub(super) async fn open_master(&self) -> RedisResult<MultiplexedConnection> {
        let Address::Sentinel(sentinels) = &self.address else {
            return Err(RedisError::from((
                ErrorKind::InvalidClientConfig,
                "the address is not that of Sentinel",
            )));
        };
        let client = self.sentinel(sentinels)?.async_get_client().await?;
        connect_to(client, OPEN_TIMEOUT, None).await
    }

    /// Counts connections to a target that were replaced although they had not broken.
    pub(super) fn replacements(&self, to: &Target) -> watch::Sender<u64> {
        let target = match to {
            Target::Server(node) => node.addr().to_string(),
            Target::Master => String::new(),
        };
        let mut replacements = self.replacements.lock().unwrap_or_else(PoisonError::into_inner);
        replacements.entry(target).or_default().clone()
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = Some(self.ca.clone()?);
        Some(TlsCertificates { client_tls: None, root_cert })
    }

    pub(super) fn client(&self, node: ConnectionInfo) -> RedisResult<Client> {
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
        let master_login = sentinels.master_login.redis_settings();
        builder = builder.set_client_to_redis_db(master_login.db());
        if let Some(user) = master_login.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = master_login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        let sentinel_login = sentinels.nodes.first().map(ConnectionInfo::redis_settings);
        if let Some(user) = sentinel_login.and_then(redis::RedisConnectionInfo::username) {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = sentinel_login.and_then(redis::RedisConnectionInfo::password) {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if matches!(sentinels.master_login.addr(), ConnectionAddr::TcpTls { .. }) {
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

/// Without `response_timeout` the caller has its own.
pub(super) async fn connect_to(
    client: Client,
    connect_timeout: Duration,
    response_timeout: Option<Duration>,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_timeout))
        .set_response_timeout(response_timeout);
    client.get_multiplexed_async_connection_with_config(&config).await
}
