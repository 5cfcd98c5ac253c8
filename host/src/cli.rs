//! `worker`'s command line: run tasks, or look at plugins without a queue.

pub mod plugins;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ops::secret::Secret;
use ops::telemetry::LogFormat;

use crate::config::{Ceilings, HostConfig};

/// Runs tasks in WebAssembly plugins that are replaced while it runs.
#[derive(Debug, Parser)]
#[command(name = "worker", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Without a command tasks are run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run them.
    #[command(flatten)]
    pub serve: Serve,
}

/// What to do instead of running tasks.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Shows, checks and tries out plugins.
    Plugins(plugins::PluginsCommand),
}

/// How to run tasks.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Folder with `*.wasm` and their `*.toml`; changes in it take effect at once.
    #[arg(long, env = "PLUGINS", default_value = "./plugins")]
    plugins: PathBuf,
    #[command(flatten)]
    kept: KeptFolder,
    /// How long a plugin's files that are written all the time are waited for, in seconds; then they are tried as they
    /// are, and again when they have changed. Files that are still for a moment are tried at once.
    #[arg(long, env = "PLUGIN_WAIT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    plugin_wait_seconds: u64,
    #[command(flatten)]
    redis: RedisFlags,
    /// Tasks run at once, 1 to 1000.
    #[arg(long, env = "CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// How long a shutdown waits for running tasks, in seconds; what is left then runs elsewhere.
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 25)]
    drain_seconds: u64,
    /// Serve `/healthz`, `/readyz` and `/metrics` here, for instance `127.0.0.1:9464`; not at all when it is not set.
    #[arg(long, env = "LISTEN")]
    listen: Option<SocketAddr>,
    /// Log lines for people (`text`) or for collectors (`json`).
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

impl Serve {
    /// How to log.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The configuration it stands for.
    pub fn into_config(self) -> HostConfig {
        HostConfig {
            redis_url: self.redis.redis_url,
            redis_ca: self.redis.redis_ca,
            plugins: self.plugins,
            plugin_cache: self.kept.folder(),
            plugin_wait: Duration::from_secs(self.plugin_wait_seconds),
            concurrency: usize::from(self.concurrency),
            drain: Duration::from_secs(self.drain_seconds),
            listen: self.listen,
            ceilings: Ceilings::default(),
        }
    }
}

/// Where Redis is and how to trust it.
#[derive(Debug, clap::Args)]
pub struct RedisFlags {
    /// Where Redis is.
    #[arg(
        long,
        env = "REDIS_URL",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true
    )]
    redis_url: Secret<String>,
    /// File with the certificate (PEM) that Redis' own must be signed by, for `rediss://`; the system's without it.
    #[arg(long, env = "REDIS_CA")]
    redis_ca: Option<PathBuf>,
}

/// Where things are kept between starts.
#[derive(Debug, clap::Args)]
pub struct KeptFolder {
    /// Folder for prepared plugins, so that the next start is quick, and for the last good versions, so that there is a
    /// way back; made for this user alone. `none` for no such folder. Without it `freefans-workers` in the user's cache
    /// folder is used.
    #[arg(long, env = "PLUGIN_CACHE")]
    plugin_cache: Option<PathBuf>,
}

impl KeptFolder {
    fn folder(&self) -> Option<PathBuf> {
        match &self.plugin_cache {
            Some(none) if none.as_os_str() == "none" => None,
            Some(folder) => Some(folder.clone()),
            None => default_cache(),
        }
    }
}

/// Where a user's programs keep what can be made again (XDG Base Directory Specification).
fn default_cache() -> Option<PathBuf> {
    let absolute =
        |variable| std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("freefans-workers"))
}
