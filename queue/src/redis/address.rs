//! The address of Redis: one server, a Cluster, or the master that Sentinel names.

use redis::{ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};

use crate::redis::tcp::tcp_settings;

const SENTINEL_PORT: u16 = 26379;

/// A parsed address.
#[derive(Debug, Clone)]
pub(super) enum Address {
    Single(ConnectionInfo),
    Cluster(Vec<ConnectionInfo>),
    Sentinel(Sentinels),
}

/// How to find the master.
#[derive(Debug, Clone)]
pub(super) struct Sentinels {
    /// The Sentinels, with our login there.
    pub(super) nodes: Vec<ConnectionInfo>,
    /// The name under which they know the master.
    pub(super) master: String,
    /// Our login at the master, and its database; the address in it is a placeholder.
    pub(super) master_login: ConnectionInfo,
}

/// Parses `redis://…`, `redis-cluster://…` or `redis-sentinel://…`, each with `rediss` for TLS.
///
/// # Errors
///
/// Names the fault; never contains the address, which may hold a password.
pub(super) fn parse(url: &str) -> Result<Address, RedisError> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it has no `://`"))?;
    match scheme {
        "redis-cluster" => Ok(Address::Cluster(nodes("redis", rest)?)),
        "rediss-cluster" => Ok(Address::Cluster(nodes("rediss", rest)?)),
        "redis-sentinel" => Ok(Address::Sentinel(sentinels("redis", rest)?)),
        "rediss-sentinel" => Ok(Address::Sentinel(sentinels("rediss", rest)?)),
        _ => Ok(Address::Single(node(url)?)),
    }
}

fn node(url: &str) -> Result<ConnectionInfo, RedisError> {
    Ok(url.into_connection_info()?.set_tcp_settings(tcp_settings()))
}

/// `[user:password@]host[:port][,host[:port]…]`: all hosts have the same login.
fn nodes(scheme: &str, rest: &str) -> Result<Vec<ConnectionInfo>, RedisError> {
    let (login, hosts) = split_login(rest.trim_end_matches('/'));
    if hosts.contains('/') || hosts.contains('?') {
        return Err(invalid("a Cluster has no databases and no options"));
    }
    hosts.split(',').map(|host| node(&format!("{scheme}://{login}{host}"))).collect()
}

/// `[user:password@]host[:port][,host[:port]…][/database]?master=NAME[&user=U][&password=P]`: the login before the
/// hosts is for the master, the login in the query for the Sentinels.
fn sentinels(scheme: &str, rest: &str) -> Result<Sentinels, RedisError> {
    let (login, rest) = split_login(rest);
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = location.split_once('/').unwrap_or((location, ""));
    let mut master = "";
    let mut user = "";
    let mut password = "";
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("master", name)) => master = name,
            Some(("user", name)) => user = name,
            Some(("password", word)) => password = word,
            _ => return Err(invalid("the options of Sentinel are master, user and password")),
        }
    }
    if master.is_empty() {
        return Err(invalid("Sentinel needs `?master=NAME`"));
    }
    let master_login = node(&format!("{scheme}://{login}localhost/{database}"))?;
    let login = match (user, password) {
        ("", "") => String::new(),
        (user, password) => format!("{user}:{password}@"),
    };
    let nodes = hosts
        .split(',')
        .map(|host| {
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
            let port = if has_port { String::new() } else { format!(":{SENTINEL_PORT}") };
            node(&format!("{scheme}://{login}{host}{port}"))
        })
        .collect::<Result<_, RedisError>>()?;
    Ok(Sentinels { nodes, master: master.to_owned(), master_login })
}

/// Splits off `user:password@`; empty without a login.
fn split_login(rest: &str) -> (&str, &str) {
    match rest.rfind('@') {
        Some(at) => rest.split_at(at + 1),
        None => ("", rest),
    }
}

fn invalid(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, why))
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;

    fn hosts(nodes: &[ConnectionInfo]) -> Vec<String> {
        nodes.iter().map(|node| node.addr().to_string()).collect()
    }

    #[test]
    fn a_cluster_is_several_hosts_with_one_login() {
        let Address::Cluster(nodes) =
            parse("redis-cluster://me:p%40ss@a:7001,b,[::1]:7003").unwrap()
        else {
            panic!("not a cluster")
        };
        assert_eq!(hosts(&nodes), ["a:7001", "b:6379", "::1:7003"]);
        for node in &nodes {
            assert_eq!(node.redis_settings().username(), Some("me"));
            assert_eq!(node.redis_settings().password(), Some("p@ss"));
        }
        let Address::Cluster(nodes) = parse("rediss-cluster://a").unwrap() else {
            panic!("not a cluster")
        };
        assert!(matches!(nodes[0].addr(), ConnectionAddr::TcpTls { .. }));
    }

    #[test]
    fn sentinels_have_a_master_and_a_login_of_their_own() {
        let url = "redis-sentinel://app:secret@a,b:26380/2?master=main&user=watch&password=s%26t";
        let Address::Sentinel(found) = parse(url).unwrap() else { panic!("not Sentinel") };
        assert_eq!(hosts(&found.nodes), ["a:26379", "b:26380"]);
        assert_eq!((found.master.as_str(), found.master_login.redis_settings().db()), ("main", 2));
        assert_eq!(found.master_login.redis_settings().password(), Some("secret"));
        let to_sentinel = found.nodes[1].redis_settings();
        assert_eq!((to_sentinel.username(), to_sentinel.password()), (Some("watch"), Some("s&t")));
    }

    #[test]
    fn an_error_names_the_fault_without_the_password() {
        for (url, why) in [
            ("127.0.0.1:6379", "it has no `://`"),
            ("redis-sentinel://:hush@a", "Sentinel needs `?master=NAME`"),
            ("redis-sentinel://:hush@a?master=m&x=1", "master, user and password"),
            ("redis-cluster://:hush@a/1", "a Cluster has no databases"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hush"), "{url}: {error}");
        }
    }
}
