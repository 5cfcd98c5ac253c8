//! The `worker` binary.

use std::process::ExitCode;

use clap::Parser;
use host::cli::Cli;

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
    match run(cli, dotenv) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "the worker stops");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, dotenv: dotenvy::Result<std::path::PathBuf>) -> anyhow::Result<()> {
    ops::telemetry::init(cli.log_format())?;
    if let Err(error) = dotenv
        && !error.not_found()
    {
        tracing::warn!(error = %error, "the .env file cannot be read");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = ops::shutdown::signal_token()?;
        host::worker::run(cli.into_config(), shutdown, announce).await
    })
}

/// One line on standard output for whoever started us.
#[expect(clippy::print_stdout, reason = "a supervisor waits for this line")]
fn announce(worker: &str, plugins: &[queue::OfferedPlugin]) {
    let offered: Vec<String> =
        plugins.iter().map(|plugin| format!("{} {}", plugin.name, plugin.version)).collect();
    println!(
        "ready: {worker} with {}",
        if offered.is_empty() { "no plugins yet".to_owned() } else { offered.join(", ") }
    );
}
