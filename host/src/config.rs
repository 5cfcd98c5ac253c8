//! The worker's configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ops::secret::Secret;

/// Limits that no plugin's own settings can widen.
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
    /// 64 MiB of component, 128 MiB of data, 512 MiB of memory: far above what the shipped plugins use, far below
    /// what a small server has.
    fn default() -> Self {
        Self { component_bytes: 64 << 20, data_bytes: 128 << 20, memory_bytes: 512 << 20 }
    }
}

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where Redis is. May hold a password.
    pub redis_url: Secret<String>,
    /// The certificate that Redis' own must be signed by.
    pub redis_ca: Option<PathBuf>,
    /// The folder with `*.wasm` and `*.toml`.
    pub plugins: PathBuf,
    /// The folder for prepared plugins; none to prepare them at each start.
    pub plugin_cache: Option<PathBuf>,
    /// How long plugin files that never are still are waited for.
    pub plugin_wait: Duration,
    /// Tasks run at once.
    pub concurrency: usize,
    /// How long a shutdown waits for running tasks.
    pub drain: Duration,
    /// Where health and metrics are served.
    pub listen: Option<SocketAddr>,
    /// The server's own limits.
    pub ceilings: Ceilings,
}
