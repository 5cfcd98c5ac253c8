//! Checks that a server can keep the queue's promises.

use crate::error::ConnectError;
use crate::redis::connection::Connection;

/// Checks the server's version and settings; in a Cluster, those of each master.
///
/// # Errors
///
/// [`ConnectError::TooOld`], [`ConnectError::Evicts`], or [`ConnectError::Unreachable`].
pub(crate) async fn check_servers(connection: &Connection) -> Result<(), ConnectError> {
    let infos = connection.info(SECTIONS).await;
    for info in infos.map_err(|source| ConnectError::Unreachable { source })? {
        let server = check_info(&info)?;
        tracing::debug!(server = server.name, "the server is new enough");
        for warning in server.warnings {
            tracing::warn!("{warning}");
        }
    }
    Ok(())
}

/// The sections of `INFO` that are read.
pub(crate) const SECTIONS: &[&str] = &["server", "memory", "persistence"];
/// Share of `maxmemory` in use, in percent, from which an operator should know.
const MUCH_MEMORY: u64 = 80;

/// A server that can keep the queue's promises.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerState {
    /// Product and version.
    pub(crate) name: String,
    /// What an operator should mend, with what mends it.
    pub(crate) warnings: Vec<String>,
}

/// Reads the `INFO` of a server.
pub(crate) fn check_info(info: &str) -> Result<ServerState, ConnectError> {
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
    if let (Some(limit), Some(policy)) = (field("maxmemory"), field("maxmemory_policy"))
        && limit != "0"
        && policy != "noeviction"
    {
        return Err(ConnectError::Evicts { policy: policy.to_owned() });
    }
    let mut warnings = Vec::new();
    if field("aof_enabled") == Some("0") {
        warnings.push(
            "Redis keeps no append-only file: waiting tasks are lost when it crashes. To keep them, run \
             `redis-cli CONFIG SET appendonly yes` and set it in redis.conf"
                .to_owned(),
        );
    }
    let saves = ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"];
    if let Some(failed) =
        saves.into_iter().find(|name| field(name).is_some_and(|status| status != "ok"))
    {
        warnings.push(format!(
            "Redis could not save to its disk ({failed}). Free disk space or mend its folder's rights; its log says which"
        ));
    }
    let number = |name: &str| field(name)?.parse::<u64>().ok();
    if let (Some(used), Some(most @ 1..)) = (number("used_memory"), number("maxmemory"))
        && most.saturating_mul(MUCH_MEMORY) <= used.saturating_mul(100)
    {
        warnings.push(format!(
            "Redis uses {} of {} MiB: full, it takes no new tasks. Raise `maxmemory`, or free memory",
            used >> 20,
            most >> 20
        ));
    }
    Ok(ServerState { name: format!("{} {version}", product.word()), warnings })
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
    fn what_may_cost_something_later_is_told_with_what_mends_it() {
        let fine = "redis_version:7.0.15\r\naof_enabled:1\r\naof_last_write_status:ok\r\nused_memory:1\r\nmaxmemory:0\r\n";
        assert_eq!(check_info(fine).unwrap().warnings, Vec::<String>::new());
        for (from, to, part) in [
            ("aof_enabled:1", "aof_enabled:0", "CONFIG SET appendonly yes"),
            ("status:ok", "status:err", "could not save to its disk (aof_last_write_status)"),
            (
                "used_memory:1\r\nmaxmemory:0",
                "used_memory:80\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction",
                "Raise `maxmemory`",
            ),
        ] {
            let warnings = check_info(&fine.replace(from, to)).unwrap().warnings;
            assert!(warnings.len() == 1 && warnings[0].contains(part), "{warnings:?}");
        }
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
