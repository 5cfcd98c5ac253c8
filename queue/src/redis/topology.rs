//! What is known of a Cluster: which node has what. All connections of a process share it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::redis::slots::{Node, SlotMap};

/// Nodes that are remembered.
const LEARNED_AT_MOST: usize = 1_000;

/// What the connections of a process to one Cluster share: which node has what.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) map: watch::Sender<SlotMap>,
    /// Every node that was ever named, so that the Cluster is found again when all that were configured are gone.
    learned: Mutex<BTreeSet<Node>>,
    pub(super) looking: tokio::sync::Mutex<()>,
}

impl Topology {
    pub(super) fn new() -> Self {
        let map = watch::Sender::default();
        let learned = Mutex::default();
        Self { map, learned, looking: tokio::sync::Mutex::default() }
    }

    pub(super) fn owner(&self, slot: u16) -> Option<Node> {
        self.map.borrow().owner(slot).cloned()
    }

    pub(super) fn learned(&self) -> Vec<Node> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn put(&self, map: SlotMap) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.extend(map.nodes().iter().cloned());
        while learned.len() > LEARNED_AT_MOST {
            learned.pop_first();
        }
        self.map.send_if_modified(|known| {
            let changed = *known != map;
            *known = map;
            changed
        });
    }

    /// Returns when a slot has another owner than `node`.
    pub(super) async fn leaves(&self, slot: u16, node: &Node) {
        let mut map = self.map.subscribe();
        let elsewhere = |map: &SlotMap| map.owner(slot).is_some_and(|owner| owner != node);
        // The sender lives as long as we do.
        let _ = map.wait_for(elsewhere).await;
    }
}
