//! Connections to Redis: one shared for short commands, own ones for commands that block.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, RedisResult, TlsCertificates};

use crate::error::ConnectError;

/// A short command that has no answer after this long is given up: well within a lease.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection whose peer has not acknowledged what was sent for this long is broken: the machine is gone, not busy.
const PEER_IS_GONE: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest pause between two attempts to reconnect, so that work goes on within 2 s of Redis being back.
const RECONNECT_AT_MOST: Duration = Duration::from_millis(500);

/// How to reach one Redis.
#[derive(Debug, Clone)]
pub struct RedisServer {
    client: Client,
}

impl RedisServer {
    /// Reads an address such as `redis://user:password@host:6379/0`, or `rediss://…` for TLS. `ca` is the certificate
    /// (PEM) that the server's must be signed by; without it the system's certificates count.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Address`] when it does not parse or the certificate cannot be used.
    pub fn new(url: &str, ca: Option<&[u8]>) -> Result<Self, ConnectError> {
        // The first call decides for the process; a later one finds the same there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = url.into_connection_info().and_then(|address| {
            let address = address.set_tcp_settings(tcp_settings());
            match ca {
                Some(ca) => {
                    let root_cert = Some(ca.to_vec());
                    Client::build_with_tls(address, TlsCertificates { client_tls: None, root_cert })
                }
                None => Client::open(address),
            }
        });
        Ok(Self { client: client.map_err(|source| ConnectError::Address { source })? })
    }

    /// A connection for commands that answer at once; cloned freely, reconnects by itself.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`] when the first connection fails.
    pub async fn shared(&self) -> Result<ConnectionManager, ConnectError> {
        self.connect(RESPONSE_TIMEOUT).await
    }

    /// A connection of its own for a command that waits up to `longest_wait` in the server.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unreachable`] when the first connection fails.
    pub async fn blocking(
        &self,
        longest_wait: Duration,
    ) -> Result<ConnectionManager, ConnectError> {
        self.connect(longest_wait + RESPONSE_TIMEOUT).await
    }

    /// A connection that listens to pub/sub channels.
    ///
    /// # Errors
    ///
    /// What the connection says.
    pub async fn pubsub(&self) -> RedisResult<redis::aio::PubSub> {
        self.client.get_async_pubsub().await
    }

    async fn connect(&self, response_timeout: Duration) -> Result<ConnectionManager, ConnectError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(RECONNECT_AT_MOST)
            .set_number_of_retries(3);
        ConnectionManager::new_with_config(self.client.clone(), config)
            .await
            .map_err(|source| ConnectError::Unreachable { source })
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

/// Refuses a server on which the promises cannot be kept.
///
/// # Errors
///
/// [`ConnectError::TooOld`], [`ConnectError::Evicts`], or [`ConnectError::Unreachable`].
pub async fn check_server(connection: &mut ConnectionManager) -> Result<(), ConnectError> {
    let info: String = redis::cmd("INFO")
        .arg("server")
        .arg("memory")
        .arg("persistence")
        .query_async(connection)
        .await
        .map_err(|source| ConnectError::Unreachable { source })?;
    check_info(&info)
}

fn check_info(info: &str) -> Result<(), ConnectError> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let version = field("redis_version").unwrap_or("unknown");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 7) {
        return Err(ConnectError::TooOld { found: version.to_owned() });
    }
    if let (Some(limit), Some(policy)) = (field("maxmemory"), field("maxmemory_policy"))
        && limit != "0"
        && policy != "noeviction"
    {
        return Err(ConnectError::Evicts { policy: policy.to_owned() });
    }
    if field("aof_enabled") == Some("0") {
        tracing::warn!(
            "Redis keeps no append-only file: tasks that wait are lost when it crashes. To keep them, run \
             `redis-cli CONFIG SET appendonly yes` and set it in redis.conf"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_with_its_version() {
        let error = check_info("redis_version:6.2.7\r\nmaxmemory:0\r\n").unwrap_err();
        assert_eq!(error.to_string(), "Redis 6.2.7 is too old: version 7.0 or newer is needed");
    }

    #[test]
    fn a_server_that_evicts_is_refused_with_the_command_that_helps() {
        let info = "redis_version:7.0.15\r\nmaxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n";
        let error = check_info(info).unwrap_err().to_string();
        assert!(error.contains("CONFIG SET maxmemory-policy noeviction"), "{error}");
        check_info(&info.replace("allkeys-lru", "noeviction")).unwrap();
        check_info(&info.replace("maxmemory:1000", "maxmemory:0")).unwrap();
    }
}
