//! The `coordinator` binary.

use std::process::ExitCode;

use clap::Parser;
use coordinator::config::Cli;

/// Bad configuration, after sysexits.h.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let dotenv = dotenvy::dotenv();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // Nobody reads what cannot be written.
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if let Err(error) = ops::telemetry::init(cli.log_format()) {
        return usage(&[format!("RUST_LOG: {error:#}")]);
    }
    let config = match cli.into_config() {
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

#[expect(clippy::print_stderr, reason = "bad configuration is told to whoever started us")]
fn usage(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("error: {problem}");
    }
    ExitCode::from(EXIT_USAGE)
}
