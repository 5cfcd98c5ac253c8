//! What this worker tells people of itself with each heartbeat.

use std::fs;
use std::path::{Path, PathBuf};

use ops::process_metrics;
use queue::WorkerFacts;
use wasmtime::Engine;

/// The name of this machine; empty where the system does not tell.
pub(crate) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// What does not change while the worker runs.
pub(crate) fn of_start(plugins: &Path, cache: Option<&Path>) -> WorkerFacts {
    // As a command that is run elsewhere needs it.
    let whole = |folder: &Path| fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let shown = |folder: PathBuf| folder.display().to_string();
    WorkerFacts {
        host: host_name(),
        memory_limit_bytes: process_metrics::memory_limit_bytes(),
        plugin_folder: Some(shown(whole(plugins))),
        plugin_cache: cache.map(whole).map(shown),
        ..WorkerFacts::default()
    }
}

/// With the memory that is used now.
pub(crate) fn with_memory(facts: WorkerFacts, engine: &Engine) -> WorkerFacts {
    let pool = engine.pooling_allocator_metrics();
    let number = |count: usize| u64::try_from(count).ok();
    WorkerFacts {
        resident_bytes: process_metrics::resident_bytes(),
        pool_bytes: pool.as_ref().and_then(|pool| number(pool.unused_memory_bytes_resident())),
        memories: pool.as_ref().and_then(|pool| number(pool.memories())),
        ..facts
    }
}
