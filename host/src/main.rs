//! The `worker` binary.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use host::cli::plugins::PluginsCommand;
use host::cli::{Cli, Command, Serve};

/// Wrong usage or configuration, from sysexits.h.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let dotenv = dotenvy::dotenv();
    let matches = ops::environment::without_empty(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // Fails only when nobody can read it.
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let Cli { command, serve } = cli;
    if let Some(Command::Plugins(command)) = command {
        return run_plugins_command(command);
    }
    match run(serve, dotenv) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "the worker stops");
            ExitCode::FAILURE
        }
    }
}

fn run(serve: Serve, dotenv: dotenvy::Result<std::path::PathBuf>) -> anyhow::Result<()> {
    ops::telemetry::init(serve.log_format())?;
    if let Err(error) = dotenv
        && !error.not_found()
    {
        tracing::warn!(error = %error, "the .env file cannot be read");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = ops::shutdown::signal_token()?;
        host::worker::run(serve.into_config(), shutdown, announce).await
    })
}

/// Runs `worker plugins …`.
fn run_plugins_command(command: PluginsCommand) -> ExitCode {
    let result = ops::telemetry::init(ops::telemetry::LogFormat::Text).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(command.run(&mut std::io::stdout().lock()))
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the caller reads it")]
fn print_error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Prints one line for the program that started this one.
#[expect(clippy::print_stdout, reason = "a supervisor waits for this line")]
fn announce(worker: &str, plugins: &[queue::OfferedPlugin]) {
    let offered: Vec<String> =
        plugins.iter().map(|plugin| format!("{} {}", plugin.name, plugin.version)).collect();
    println!(
        "ready: {worker} with {}",
        if offered.is_empty() { "no plugins yet".to_owned() } else { offered.join(", ") }
    );
}
