//! `worker fleet history`.

use std::io::Write;

use ops::flags::RedisFlags;

use super::common::{connect, described};
use crate::cli::plugins::output::Format;

/// Shows the last 20 changes of a plugin, newest first.
#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// The plugin: its file's name without `.wasm`.
    plugin: String,
    #[command(flatten)]
    redis: RedisFlags,
}

impl History {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let history = connect(&self.redis).await?.history(&self.plugin).await?;
        if format == Format::Json {
            writeln!(out, "{:#}", serde_json::to_value(history)?)?;
            return Ok(true);
        }
        for entry in &history {
            writeln!(out, "{}", described(entry))?;
        }
        if history.is_empty() {
            writeln!(out, "the fleet has never had `{}`", self.plugin)?;
        }
        Ok(!history.is_empty())
    }
}
