//! The `coordinator` binary.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use coordinator::cli::{Cli, Command};

/// Exit code for bad configuration (sysexits.h).
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let dotenv = dotenvy::dotenv();
    let matches = ops::environment::without_empty(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // Nobody reads what cannot be written.
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let Cli { command, serve } = cli;
    if let Some(command) = command {
        return command_line(command);
    }
    if let Err(error) = ops::telemetry::init(serve.log_format()) {
        return usage(&[format!("RUST_LOG: {error:#}")]);
    }
    let config = match serve.into_config() {
        Ok(config) => config,
        Err(problems) => return usage(&problems),
    };
    if let Err(error) = dotenv
        && !error.not_found()
    {
        tracing::warn!(error = %error, "the .env file cannot be read");
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "the coordinator stops");
            ExitCode::FAILURE
        }
    }
}

fn run(config: coordinator::config::Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = ops::shutdown::signal_token()?;
        coordinator::run(config, shutdown).await
    })
}

/// Runs a subcommand.
fn command_line(command: Command) -> ExitCode {
    let ran = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(command.run(&mut std::io::stdout().lock())));
    match ran {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => {
            usage(&[format!("{error:#}")]);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "bad configuration is told to whoever started us")]
fn usage(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("error: {problem}");
    }
    ExitCode::from(EXIT_USAGE)
}
