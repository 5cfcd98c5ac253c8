//! `coordinator commands`: which plugins own chat commands.

use std::io::Write;

use queue::TaskQueue;
use serde_json::{Map, Value, json};

use super::outcome::Outcome;
use super::print;
use super::queue_args::QueueArgs;
use crate::menu::owners::{self, now_seconds};

/// Shows and changes which plugins own chat commands.
#[derive(Debug, clap::Args)]
pub struct CommandsCommand {
    #[command(flatten)]
    redis: QueueArgs,
    #[command(subcommand)]
    action: CommandsAction,
}

#[derive(Debug, clap::Subcommand)]
enum CommandsAction {
    /// Lists the commands of plugins, their owners, and when each owner last offered its command.
    List,
    /// Releases a command: the next plugin that offers it becomes its owner.
    Release(Release),
}

#[derive(Debug, clap::Args)]
struct Release {
    /// The command, without `/`.
    command: String,
}

impl CommandsCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let queue = self.redis.connect().await?;
        match self.action {
            CommandsAction::List => list(&queue, self.redis.json, out).await,
            CommandsAction::Release(release) => release.run(&queue, out).await,
        }
    }
}

async fn list(queue: &TaskQueue, json: bool, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let owners = owners::noted(queue).await?;
    if json {
        let commands: Map<String, Value> = owners
            .iter()
            .map(|(command, of)| (command.clone(), json!({"plugin": of.plugin, "seen": of.seen})))
            .collect();
        print::json(out, &json!({"commands": commands}))?;
        return Ok(Outcome::Done);
    }
    let now = now_seconds();
    for (command, of) in &owners {
        let hours = now.saturating_sub(of.seen) / 3_600;
        writeln!(out, "/{command}: plugin {}, seen {hours} h ago", of.plugin)?;
    }
    if owners.is_empty() {
        writeln!(out, "no plugin has a command")?;
    }
    Ok(Outcome::Done)
}

impl Release {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let command = self.command.trim_start_matches('/');
        if !owners::release(queue, command).await? {
            writeln!(out, "no plugin has the command {command}")?;
            return Ok(Outcome::NotFound);
        }
        writeln!(out, "{command} is free")?;
        Ok(Outcome::Done)
    }
}
