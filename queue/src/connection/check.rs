//! Whether a server can keep the promises.

use crate::connection::Connection;
use crate::error::ConnectError;

/// Refuses a server on which the promises cannot be kept; in a Cluster, each master.
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
