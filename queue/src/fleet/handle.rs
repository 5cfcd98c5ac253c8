//! The handle on the fleet's state, and its scripts.

use std::sync::Arc;

use crate::client::task_queue::TaskQueue;
use crate::redis::scripts::Script;

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) change: Script,
    pub(super) read: Script,
    pub(super) merge: Script,
    pub(super) piece: Script,
    pub(super) release: Script,
}

/// The fleet's state in Redis. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub(super) queue: TaskQueue,
    pub(super) scripts: Arc<Scripts>,
}

impl Fleet {
    /// The fleet whose state is beside the tasks of `queue`.
    pub fn new(queue: TaskQueue) -> Self {
        let scripts = Scripts {
            change: Script::new(include_str!("../../lua/fleet_change.lua")),
            read: Script::new(include_str!("../../lua/fleet_read.lua")),
            merge: Script::new(include_str!("../../lua/fleet_merge.lua")),
            piece: Script::new(include_str!("../../lua/fleet_piece.lua")),
            release: Script::new(include_str!("../../lua/fleet_release.lua")),
        };
        Self { queue, scripts: Arc::new(scripts) }
    }
}
