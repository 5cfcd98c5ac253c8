//! `worker fleet …`: pushes plugins to all workers that follow the fleet, and shows what these run.
//!
//! Exit codes: 0 success, 1 refused, failed or not converged, 64 wrong usage (sysexits.h).

mod asks;
mod canary;
mod candidate;
mod change;
mod common;
mod diff;
mod history;
mod push;
mod status;
mod stored;

use std::io::Write;

use clap::Subcommand;

use super::plugins::output::Format;

/// Pushes plugins to all workers that run with --fleet, and shows what they run.
#[derive(Debug, clap::Args)]
pub struct FleetCommand {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(flatten)]
    Shared(Shared),
    Rollback(change::Rollback),
    Promote(change::Promote),
    History(history::History),
}

/// The commands that `worker plugins` has as well.
#[derive(Debug, Subcommand)]
pub(crate) enum Shared {
    Push(Box<push::Push>),
    Status(status::Status),
    Pin(change::Pin),
    Unpin(change::Unpin),
    Remove(change::Remove),
    Diff(diff::Diff),
}

impl FleetCommand {
    /// Runs the command and writes its output to `out`. Returns false when something was refused, failed, or has not
    /// converged.
    ///
    /// # Errors
    ///
    /// When the usage is wrong or Redis does not answer.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let format = if self.json { Format::Json } else { Format::Text };
        match self.action {
            Action::Shared(command) => command.run(out, format).await,
            Action::Rollback(command) => command.run(out).await,
            Action::Promote(command) => command.run(out).await,
            Action::History(command) => command.run(out, format).await,
        }
    }
}

impl Shared {
    pub(crate) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        match self {
            Self::Push(command) => command.run(out, format).await,
            Self::Status(command) => command.run(out, format).await,
            Self::Pin(command) => command.run(out).await,
            Self::Unpin(command) => command.run(out).await,
            Self::Remove(command) => command.run(out).await,
            Self::Diff(command) => command.run(out).await,
        }
    }
}
