//! Records for tests, with nothing wrong in them.

use std::collections::BTreeMap;

use queue::{TypeLimits, TypeStats, WorkerRecord};

/// The type `search`, about which nothing is wrong.
pub(crate) fn quiet_type() -> TypeStats {
    TypeStats {
        task_type: "search".parse().unwrap(),
        ready: 0,
        delayed: 0,
        active: 0,
        stuck: 0,
        replies: 0,
        dead: 0,
        oldest_ms: 0,
        oldest_reply_ms: 0,
        paused: false,
        offered: true,
        limits: TypeLimits::default(),
        counters: BTreeMap::new(),
    }
}

/// A worker that runs nothing and has no plugin.
pub(crate) fn worker(name: &str) -> WorkerRecord {
    WorkerRecord { worker: name.to_owned(), concurrency: 1, ..WorkerRecord::default() }
}
