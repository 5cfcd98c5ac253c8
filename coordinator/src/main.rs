//! The `coordinator` binary.

use std::process::ExitCode;

use coordinator::cli::Cli;
use ops::startup::{self, Startup};

fn main() -> ExitCode {
    let (startup, Cli { command, serve, .. }) = match Startup::parse() {
        Ok(parsed) => parsed,
        Err(exit_code) => return exit_code,
    };
    match command {
        Some(command) => startup::run_command(startup::EXIT_FAILURE, async |out| {
            command.run(&startup, out).await
        }),
        None => {
            let monitoring = serve.monitoring().clone();
            startup.serve(&monitoring, serve.into_config(), coordinator::run)
        }
    }
}
