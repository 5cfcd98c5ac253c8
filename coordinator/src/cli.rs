//! The coordinator's command line: run the bot, or show and control the queue.
//!
//! Exit codes: 0 done, 1 failed, 2 not found, 64 wrong usage (sysexits.h).

mod commands;
mod outcome;
mod print;
mod queue_args;
mod queue_command;
mod submit;

use std::io::Write;

use clap::{Parser, Subcommand};
use ops::health_command::HealthCommand;

use crate::config::Serve;
pub use commands::CommandsCommand;
pub use outcome::Outcome;
pub use queue_command::QueueCommand;
pub use submit::Submit;

/// Turns chat messages into tasks and results into messages.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The subcommand; without one the bot runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The bot's settings.
    #[command(flatten)]
    pub serve: Serve,
}

/// What to do instead of running the bot.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows and controls the queue.
    Queue(QueueCommand),
    /// Submits a task by hand.
    Submit(Submit),
    /// Asks the coordinator that runs here whether it is alive or ready.
    Health(HealthCommand),
    /// Shows and changes which plugins own chat commands.
    Commands(CommandsCommand),
}

impl Command {
    /// Runs the subcommand and prints to `out`.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached, or refuses a command.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<Outcome> {
        match self {
            Self::Queue(command) => command.run(out).await,
            Self::Submit(command) => command.run(out).await,
            Self::Commands(command) => command.run(out).await,
            Self::Health(command) => {
                Ok(if command.run(out).await? { Outcome::Done } else { Outcome::Failed })
            }
        }
    }
}
