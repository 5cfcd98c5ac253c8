//! Reads the slot map of a Cluster again, after a redirect, an error or a silence.
//!
//! All known nodes are asked at once, so a silent one delays nothing. The first map that is not out of date counts.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};

use crate::redis::server::{RedisServer, connect_to};
use crate::redis::slots::SlotMap;

/// Longest wait for the map of one node; there are others.
const MAP_TIMEOUT: Duration = Duration::from_secs(1);
/// Nodes that are asked for the map at the same time.
const PARALLEL_REQUESTS: usize = 16;
/// Pause after a refresh in the background.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// Refreshes the slot map in the background. One refresh serves all who ask meanwhile.
pub(super) fn refresh_in_background(server: RedisServer) {
    tokio::spawn(async move {
        let Ok(refreshing) = server.topology.refreshing.try_lock() else { return };
        if let Err(error) = fetch(&server).await {
            tracing::debug!(error = %error, "no node of the Cluster returns the slot map");
        }
        tokio::time::sleep(REFRESH_PAUSE).await;
        drop(refreshing);
    });
}

/// Refreshes the slot map.
///
/// # Errors
///
/// When no node returns one.
pub(super) async fn refresh(server: &RedisServer) -> RedisResult<()> {
    let _refreshing = server.topology.refreshing.lock().await;
    fetch(server).await
}

/// Asks every known node for its map, until one returns a map that is not older than ours. If all are older (the Cluster was
/// created anew), the newest of them counts.
async fn fetch(server: &RedisServer) -> RedisResult<()> {
    let our_epoch = server.topology.map.borrow().epoch();
    let requests = server.nodes().into_iter().map(|node| fetch_from(server, node).boxed());
    let mut replies = futures::stream::iter(requests).buffer_unordered(PARALLEL_REQUESTS);
    let mut newest: RedisResult<SlotMap> = Err(no_owner());
    while let Some(reply) = replies.next().await {
        let epoch = newest.as_ref().ok().map(SlotMap::epoch);
        match reply {
            Ok(map) if epoch < Some(map.epoch()) => newest = Ok(map),
            Err(error) if newest.is_err() => newest = Err(error),
            _ => {}
        }
        if newest.as_ref().is_ok_and(|map| our_epoch <= map.epoch()) {
            break;
        }
    }
    server.topology.update(newest?);
    Ok(())
}

async fn fetch_from(server: &RedisServer, node: ConnectionInfo) -> RedisResult<SlotMap> {
    let address = match node.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            (host.clone(), *port)
        }
        _ => return Err(no_owner()),
    };
    let client = server.client(node)?;
    let mut connection = connect_to(client, MAP_TIMEOUT, Some(MAP_TIMEOUT)).await?;
    let slots: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await?;
    SlotMap::read(&slots, &info, &address).ok_or_else(no_owner)
}

/// The error when no owner of a slot is known.
pub(super) fn no_owner() -> RedisError {
    RedisError::from((
        ErrorKind::ClusterConnectionNotFound,
        "no node of the Cluster has these keys",
    ))
}
