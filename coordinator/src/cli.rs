//! The coordinator's command line: run the bot, or show and control the queue.
//!
//! Exit codes: 0 done, 1 failed, 2 not found, 64 wrong usage (sysexits.h).

mod commands;
mod doctor;
mod history;
mod limit;
mod outcome;
mod print;
mod queue_args;
mod queue_command;
mod submit;

use std::io::Write;

use clap::{CommandFactory, Parser, Subcommand};
use ops::flags::FileFlag;
use ops::health_command::HealthCommand;
use ops::manual::{CompletionsCommand, ManCommand};
use ops::settings::show::ConfigCommand;
use ops::startup::Startup;

use crate::config::Serve;
pub use commands::CommandsCommand;
pub use doctor::DoctorCommand;
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
    /// Where more of them stand.
    #[command(flatten)]
    pub file: FileFlag,
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
    /// Checks and shows the settings, and where each comes from.
    Config(ConfigCommand<Serve>),
    /// Checks settings, machine, Redis and Telegram, and says what mends what is wrong.
    Doctor(DoctorCommand),
    /// Prints completions for a shell.
    Completions(CompletionsCommand),
    /// Prints or writes man pages.
    Man(ManCommand),
    /// Shows and changes which plugins own chat commands.
    Commands(CommandsCommand),
}

impl Command {
    /// Runs the subcommand and prints to `out`. Returns the exit code.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached, or refuses a command.
    pub async fn run(self, startup: &Startup, out: &mut impl Write) -> anyhow::Result<u8> {
        let outcome = match self {
            Self::Config(command) => {
                return command.run(startup, out, Serve::problems, crate::metrics::ALL);
            }
            Self::Doctor(command) => command.run(startup, out).await,
            Self::Completions(command) => command.run(Cli::command(), out).map(|()| Outcome::Done),
            Self::Man(command) => command.run(Cli::command(), out).map(|()| Outcome::Done),
            Self::Queue(command) => command.run(out).await,
            Self::Submit(command) => command.run(out).await,
            Self::Commands(command) => command.run(out).await,
            Self::Health(command) => {
                Ok(if command.run(out).await? { Outcome::Done } else { Outcome::Failed })
            }
        };
        outcome.map(Outcome::exit_code)
    }
}
