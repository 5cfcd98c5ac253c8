//! `worker plugins history`.

use std::io::Write;

use ops::flags::RedisFlags;
use queue::{PluginChange, PluginEvent, QueueConfig, TaskQueue};

use super::output::{Format, ago, one_line};

/// Shows what happened to plugins on all workers, newest first.
#[derive(Debug, clap::Args)]
pub(super) struct History {
    #[command(flatten)]
    redis: RedisFlags,
    /// Largest number of entries.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    count: u16,
}

impl History {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let redis_ca = self.redis.read_ca()?;
        let config = QueueConfig { redis_ca, ..QueueConfig::default() };
        let queue = TaskQueue::connect(self.redis.redis_url.expose(), config).await?;
        let events = queue.plugin_events(self.count.into()).await?;
        if format == Format::Json {
            writeln!(out, "{:#}", serde_json::to_value(events)?)?;
            return Ok(true);
        }
        for event in &events {
            writeln!(out, "{}", line(event))?;
        }
        Ok(true)
    }
}

fn line(event: &PluginEvent) -> String {
    let version = event.version.as_deref().unwrap_or("?");
    let change = match (event.change, event.other_version.as_deref()) {
        (PluginChange::Published, None) => format!("{version} is in force"),
        (PluginChange::Published, Some(old)) => format!("{version} is in force after {old}"),
        (PluginChange::Refused, _) => "refused".to_owned(),
        (PluginChange::RolledBack, other) => {
            format!("{version} was rolled back to {}", other.unwrap_or("?"))
        }
        (PluginChange::Removed, _) => format!("{version} was removed"),
    };
    let digest = event.digest.as_deref().and_then(|digest| digest.get(..12));
    let details: Vec<&str> = digest.into_iter().chain(event.reason.as_deref()).collect();
    let details =
        if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    let line =
        format!("{}: {}: {change}{details} on {}", ago(event.at), event.plugin, event.worker);
    // The text comes from Redis, and in part from a guest: it must stay on one line.
    one_line(&line)
}
