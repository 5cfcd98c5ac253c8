//! The worker's configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ops::flags::RedisFlags;
use queue::history::HistorySettings;

use crate::trust::Policy;

/// Limits that a plugin's settings cannot raise.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    /// Largest component file, in bytes.
    pub component_bytes: u64,
    /// Largest data file, in bytes.
    pub data_bytes: u64,
    /// Largest linear memory of one task, in bytes, all memories of the component together.
    pub memory_bytes: usize,
}

impl Default for Ceilings {
    /// 64 MiB for a component, 128 MiB for a data file, 512 MiB of memory: far above what the shipped plugins use, and
    /// far below what a small server has.
    fn default() -> Self {
        Self { component_bytes: 64 << 20, data_bytes: 128 << 20, memory_bytes: 512 << 20 }
    }
}

/// The configuration of a worker.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// How to reach Redis.
    pub redis: RedisFlags,
    /// What is kept of finished tasks; none to keep nothing.
    pub history: Option<HistorySettings>,
    /// The folder with `*.wasm` and `*.toml`.
    pub plugins: PathBuf,
    /// Which signatures of plugins are trusted.
    pub trust: Policy,
    /// The folder for prepared plugins and good versions; none to prepare the plugins at each start.
    pub plugin_cache: Option<PathBuf>,
    /// The `worker` program that compiles plugins in a process of its own; none to compile them in this process.
    pub compiler: Option<PathBuf>,
    /// How long plugin files that never stop changing are waited for.
    pub plugin_wait: Duration,
    /// Tasks run at once.
    pub concurrency: usize,
    /// How long a shutdown waits for running tasks.
    pub drain: Duration,
    /// The address to serve health and metrics at.
    pub listen: Option<SocketAddr>,
    /// The folder for the cases of tasks that fail in a plugin; none to keep none.
    pub record_failed: Option<PathBuf>,
    /// The server's own limits.
    pub ceilings: Ceilings,
    /// How to follow the fleet; none to run only what is in the folder.
    pub fleet: Option<FleetConfig>,
}

/// How a worker follows the fleet.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Its labels: a plugin that asks for others is not run here.
    pub labels: Vec<String>,
    /// The folder with the operator's own settings for the fleet's plugins; none for the plugin folder.
    pub grants: Option<PathBuf>,
    /// Where components may be fetched besides Redis: beginnings of `oci://` and `file://` addresses.
    pub sources: Vec<String>,
}
