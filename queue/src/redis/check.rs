//! Checks that a server can keep the queue's promises.

use crate::error::ConnectError;
use crate::redis::connection::Connection;

/// Checks the server's version and settings; in a Cluster, those of each master.
///
/// # Errors
///
/// [`ConnectError::TooOld`], [`ConnectError::Evicts`], or [`ConnectError::Unreachable`].
pub(crate) async fn check_servers(connection: &Connection) -> Result<(), ConnectError> {
    let infos = connection.info(&["server", "memory", "persistence"]).await;
    for info in infos.map_err(|source| ConnectError::Unreachable { source })? {
        check_info(&info)?;
    }
    Ok(())
}

fn check_info(info: &str) -> Result<(), ConnectError> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let product = product(field);
    // In Valkey, `redis_version` is the Redis that it is compatible with.
    let version = field(product.version_field()).unwrap_or("unknown");
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let found =
        numbers.next().flatten().map(|major| (major, numbers.next().flatten().unwrap_or(0)));
    if found.is_none_or(|found| found < product.oldest()) {
        return Err(ConnectError::TooOld { name: product.word(), found: version.to_owned() });
    }
    tracing::debug!(server = product.word(), version, "the server is new enough");
    if let (Some(limit), Some(policy)) = (field("maxmemory"), field("maxmemory_policy"))
        && limit != "0"
        && policy != "noeviction"
    {
        return Err(ConnectError::Evicts { policy: policy.to_owned() });
    }
    if field("aof_enabled") == Some("0") {
        tracing::warn!(
            "Redis keeps no append-only file: waiting tasks are lost when it crashes. To keep them, run \
             `redis-cli CONFIG SET appendonly yes` and set it in redis.conf"
        );
    }
    Ok(())
}

/// The server's product. A server without a name is taken for Redis, because it claims that compatibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Redis,
    Valkey,
}

fn product<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Product {
    match field("server_name") {
        Some("valkey") => Product::Valkey,
        // Valkey's first releases had no `server_name`.
        _ if field("valkey_version").is_some() => Product::Valkey,
        _ => Product::Redis,
    }
}

impl Product {
    fn word(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
        }
    }

    fn version_field(self) -> &'static str {
        match self {
            Self::Redis => "redis_version",
            Self::Valkey => "valkey_version",
        }
    }

    /// The first version with all needed features. Valkey's first release, 7.2, has those of Redis 7.2.
    fn oldest(self) -> (u32, u32) {
        match self {
            Self::Redis => (7, 0),
            Self::Valkey => (7, 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_with_its_version() {
        let error = check_info("redis_version:6.2.7\r\nmaxmemory:0\r\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Redis 6.2.7 is too old: Redis 7.0 or newer is needed, or Valkey 7.2 or newer"
        );
    }

    #[test]
    fn each_server_is_known_by_its_own_name_and_version() {
        let check = |info: &str, expected: Option<&str>| {
            let refused = check_info(info).err().map(|error| error.to_string());
            let refused = refused.as_deref().and_then(|text| text.split(" is too old").next());
            assert_eq!(refused, expected, "{info}");
        };
        check("redis_version:7.0.0", None);
        check("redis_version:8.2.1", None);
        check("redis_version:255.255.255", None);
        check("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n", None);
        check("redis_version:7.2.4\r\nvalkey_version:7.2.5\r\n", None);
        let old = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.1.9\r\n";
        check(old, Some("Valkey 7.1.9"));
        check("redis_version:6.3.4\r\n", Some("Redis 6.3.4"));
        check("redis_version:new\r\n", Some("Redis new"));
        check("", Some("Redis unknown"));
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
