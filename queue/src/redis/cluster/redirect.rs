//! What a command does after an error in a Cluster: follow a redirect, wait, or give up.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::redis::slots::Node;

/// The next step after an error.
pub(super) enum NextStep {
    /// Return the error to the caller.
    Return,
    /// Refresh the slot map and return the error.
    RefreshAndReturn,
    /// Refresh the slot map, and send the command again after a pause.
    Wait,
    /// The slot moved to this node for good (`MOVED`).
    Follow(Node),
    /// This node has the key, while its slot is still moving (`ASK`).
    FollowOnce(Node),
}

impl NextStep {
    pub(super) fn after(error: &RedisError) -> Self {
        use ServerErrorKind::{
            Ask, BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly, TryAgain,
        };
        let to = || error.redirect_node().and_then(|(node, _slot)| read_address(node));
        match error.kind() {
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Self::RefreshAndReturn,
            ErrorKind::Server(Moved) => to().map_or(Self::Wait, Self::Follow),
            ErrorKind::Server(Ask) => to().map_or(Self::Wait, Self::FollowOnce),
            ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain) => {
                Self::Wait
            }
            _ => Self::Return,
        }
    }
}

/// Reads `host:port`.
fn read_address(node: &str) -> Option<Node> {
    let (host, port) = node.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}
