//! `worker plugins …`: shows, checks and runs plugins as a worker would, without one.
//!
//! Exit codes: 0 success, 1 refused or failed, 64 wrong usage (sysexits.h).

mod accept;
mod check;
pub(super) mod folders;
mod history;
mod inspect;
mod list;
pub(super) mod output;
mod precompile;
mod rollback;
mod run;

use std::io::Write;

use clap::Subcommand;

use self::output::Format;
use super::fleet;

/// Shows, checks and runs plugins.
#[derive(Debug, clap::Args)]
pub struct PluginsCommand {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::List),
    Precompile(precompile::Precompile),
    Rollback(rollback::Rollback),
    Accept(accept::Accept),
    History(history::History),
    Inspect(inspect::Inspect),
    Check(check::Check),
    Run(run::Run),
    #[command(flatten)]
    Fleet(fleet::Shared),
}

impl PluginsCommand {
    /// Runs the command and writes its output to `out`. Returns false when something was refused or failed.
    ///
    /// # Errors
    ///
    /// When the usage is wrong or the engine cannot be built.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let format = if self.json { Format::Json } else { Format::Text };
        match self.action {
            Action::List(command) => command.run(out, format).await,
            Action::Precompile(command) => command.run(out).await,
            Action::Rollback(command) => command.run(out, format),
            Action::Accept(command) => command.run(out),
            Action::History(command) => command.run(out, format).await,
            Action::Inspect(command) => command.run(out, format).await,
            Action::Check(command) => command.run(out, format).await,
            Action::Run(command) => command.run(out).await,
            Action::Fleet(command) => command.run(out, format).await,
        }
    }
}
