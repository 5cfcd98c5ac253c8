//! The slot map of a Cluster, shared by all connections of a process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::redis::slots::{Node, SlotMap};

/// Most nodes that are remembered.
const MAX_SEEN_NODES: usize = 1_000;

/// The slot map, and every node that was ever in it.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) map: watch::Sender<SlotMap>,
    /// Every node that was ever seen, so that the Cluster is found again when all configured nodes are gone.
    seen_nodes: Mutex<BTreeSet<Node>>,
    /// Held during a refresh of the map.
    pub(super) refreshing: tokio::sync::Mutex<()>,
}

impl Topology {
    pub(super) fn new() -> Self {
        let map = watch::Sender::default();
        let seen_nodes = Mutex::default();
        Self { map, seen_nodes, refreshing: tokio::sync::Mutex::default() }
    }

    pub(super) fn owner(&self, slot: u16) -> Option<Node> {
        self.map.borrow().owner(slot).cloned()
    }

    pub(super) fn seen_nodes(&self) -> Vec<Node> {
        self.seen_nodes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn update(&self, map: SlotMap) {
        let mut seen_nodes = self.seen_nodes.lock().unwrap_or_else(PoisonError::into_inner);
        seen_nodes.extend(map.nodes().iter().cloned());
        while seen_nodes.len() > MAX_SEEN_NODES {
            seen_nodes.pop_first();
        }
        self.map.send_if_modified(|known| {
            let changed = *known != map;
            *known = map;
            changed
        });
    }

    /// Returns when `node` does not own the slot any more.
    pub(super) async fn slot_moved(&self, slot: u16, node: &Node) {
        let mut map = self.map.subscribe();
        let moved = |map: &SlotMap| map.owner(slot).is_some_and(|owner| owner != node);
        // The sender lives as long as we do.
        let _ = map.wait_for(moved).await;
    }
}
