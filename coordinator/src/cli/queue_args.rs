//! Flags of all subcommands: how to reach the queue, and how to print.

use ops::flags::RedisFlags;
use queue::{QueueConfig, TaskQueue};

/// How to reach the queue, and how to print.
#[derive(Debug, clap::Args)]
#[command(mut_args(|arg| arg.global(true)))]
pub(super) struct QueueArgs {
    #[command(flatten)]
    redis: RedisFlags,
    /// Print JSON, one object.
    #[arg(long)]
    pub(super) json: bool,
}

impl QueueArgs {
    /// Connects to the queue.
    pub(super) async fn connect(&self) -> anyhow::Result<TaskQueue> {
        let config = QueueConfig { redis_ca: self.redis.read_ca()?, ..QueueConfig::default() };
        Ok(TaskQueue::connect(self.redis.redis_url.expose(), config).await?)
    }
}
