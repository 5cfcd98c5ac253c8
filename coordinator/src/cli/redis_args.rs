//! How subcommands reach the queue, and how they print.

use std::path::PathBuf;

use ops::secret::Secret;
use queue::{QueueConfig, TaskQueue};

/// How to reach the queue, and how to print.
#[derive(Debug, clap::Args)]
pub(super) struct RedisArgs {
    /// Where Redis is.
    #[arg(
        long,
        env = "REDIS_URL",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true,
        global = true
    )]
    pub(super) redis_url: Secret<String>,
    /// File with the certificate (PEM) that Redis' own must be signed by, for `rediss://`; the system's without it.
    #[arg(long, env = "REDIS_CA", global = true)]
    pub(super) redis_ca: Option<PathBuf>,
    /// Print JSON, one object.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl RedisArgs {
    /// Connects to the queue.
    pub(super) async fn connect(&self) -> anyhow::Result<TaskQueue> {
        let redis_ca = ops::file::read_optional(self.redis_ca.as_deref())?;
        let config = QueueConfig { redis_ca, ..QueueConfig::default() };
        Ok(TaskQueue::connect(self.redis_url.expose(), config).await?)
    }
}
