//! Where Redis is, and how a connection to it is opened.

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
use crate::redis::opening::OPEN_AT_MOST;
use crate::redis::slots::Node;
use crate::redis::tcp::tcp_settings;
use crate::redis::topology::Topology;

/// Where a connection leads.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// This server.
    Server(Box<ConnectionInfo>),
    /// Whoever Sentinel says is the master.
    Master,
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub(crate) struct RedisServer {
    address: Address,
    ca: Option<Vec<u8>>,
    /// What is known of a Cluster.
    pub(super) topology: Arc<Topology>,
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
        let ca = ca.map(<[u8]>::to_vec);
        let topology = Arc::new(Topology::new());
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

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether keys of two slots may be on two servers, so that no command can name both.
    pub(crate) fn has_slots(&self) -> bool {
        matches!(self.address, Address::Cluster(_))
    }

    pub(super) async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
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
    pub(super) fn nodes(&self) -> Vec<ConnectionInfo> {
        let Address::Cluster(configured) = &self.address else { return Vec::new() };
        let learned = self.topology.learned().into_iter().filter_map(|node| self.at(node).ok());
        let learned: Vec<_> =
            learned.filter(|node| configured.iter().all(|one| one.addr() != node.addr())).collect();
        [configured.clone(), learned].concat()
    }

    /// A node of the Cluster, reached like those that are configured.
    pub(super) fn at(&self, (host, port): Node) -> RedisResult<ConnectionInfo> {
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

    pub(super) async fn open_node(
        &self,
        node: ConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        connect_to(self.client(node)?, OPEN_AT_MOST, None).await
    }

    /// Connects to the master that Sentinel names.
    pub(super) async fn open_master(&self) -> RedisResult<MultiplexedConnection> {
        let Address::Sentinel(sentinels) = &self.address else {
            return Err(RedisError::from((ErrorKind::InvalidClientConfig, "it is no Sentinel")));
        };
        let client = self.sentinel(sentinels)?.async_get_client().await?;
        connect_to(client, OPEN_AT_MOST, None).await
    }

    /// Counts how often connections to a place were replaced though they did not break.
    pub(super) fn moves(&self, to: &Target) -> watch::Sender<u64> {
        let place = match to {
            Target::Server(node) => node.addr().to_string(),
            Target::Master => String::new(),
        };
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        moves.entry(place).or_default().clone()
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
pub(super) async fn connect_to(
    client: Client,
    connect_at_most: Duration,
    response_at_most: Option<Duration>,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect_at_most))
        .set_response_timeout(response_at_most);
    client.get_multiplexed_async_connection_with_config(&config).await
}
