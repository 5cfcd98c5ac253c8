//! `worker plugins …`: makes, shows, checks, runs and signs plugins as a worker would, without one.
//!
//! Exit codes: 0 success, 1 refused or failed, 64 wrong usage (sysexits.h).

mod accept;
mod check;
mod clashes;
mod dead;
pub(super) mod folders;
mod history;
mod inspect;
mod keygen;
mod list;
mod new;
pub(super) mod output;
mod password;
mod precompile;
mod pull;
pub(super) mod push_oci;
mod rollback;
mod run;
mod sign;
pub(super) mod signature;
mod test;
mod verify;

use std::io::Write;

use clap::Subcommand;

use self::output::Format;
use super::fleet;

/// Makes, shows, checks, runs and signs plugins.
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
    New(new::New),
    List(list::List),
    Precompile(precompile::Precompile),
    Rollback(rollback::Rollback),
    Accept(accept::Accept),
    History(history::History),
    Inspect(inspect::Inspect),
    Check(check::Check),
    Run(run::Run),
    Test(test::Test),
    Pull(pull::Pull),
    Keygen(keygen::Keygen),
    Sign(sign::Sign),
    Verify(verify::Verify),
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
            Action::New(command) => command.run(out),
            Action::List(command) => command.run(out, format).await,
            Action::Precompile(command) => command.run(out).await,
            Action::Rollback(command) => command.run(out, format),
            Action::Accept(command) => command.run(out),
            Action::History(command) => command.run(out, format).await,
            Action::Inspect(command) => command.run(out, format).await,
            Action::Check(command) => command.run(out, format).await,
            Action::Run(command) => command.run(out).await,
            Action::Test(command) => command.run(out).await,
            Action::Pull(command) => command.run(out, format).await,
            Action::Keygen(command) => command.run(out),
            Action::Sign(command) => command.run(out).await,
            Action::Verify(command) => command.run(out, format).await,
            Action::Fleet(command) => command.run(out, format).await,
        }
    }
}
