//! The `worker` binary.

use std::process::ExitCode;

use clap::CommandFactory;
use host::cli::{Cli, Command, Serve};
use host::error::LoadError;
use ops::startup::{self, EXIT_FAILURE, Startup};
use ops::telemetry;

fn main() -> ExitCode {
    host::allocator::return_large_blocks();
    let (startup, Cli { command, serve, .. }) = match Startup::parse() {
        Ok(parsed) => parsed,
        Err(exit_code) => return exit_code,
    };
    match command {
        Some(Command::Plugins(command)) => startup::run_command(startup::EXIT_USAGE, async |out| {
            telemetry::init_for_people()?;
            exit_code(command.run(out).await)
        }),
        Some(Command::Dev(command)) => startup::run_command(EXIT_FAILURE, async |out| {
            command.run(out).await?;
            Ok(0)
        }),
        Some(Command::Fleet(command)) => startup::run_command(startup::EXIT_USAGE, async |out| {
            telemetry::init_for_people()?;
            exit_code(command.run(out).await)
        }),
        Some(Command::Health(command)) => startup::run_command(EXIT_FAILURE, async |out| {
            let healthy = command.run(out).await?;
            Ok(if healthy { 0 } else { EXIT_FAILURE })
        }),
        Some(Command::Config(command)) => startup::run_command(EXIT_FAILURE, async |out| {
            command.run(&startup, out, Serve::problems, host::metrics::ALL)
        }),
        Some(Command::Doctor(command)) => startup::run_command(EXIT_FAILURE, async |out| {
            let well = command.run(&startup, Serve::subject, out).await?;
            Ok(if well { 0 } else { EXIT_FAILURE })
        }),
        Some(Command::Completions(command)) => startup::run_command(EXIT_FAILURE, async |out| {
            command.run(Cli::command(), out).map(|()| 0)
        }),
        Some(Command::Man(command)) => startup::run_command(EXIT_FAILURE, async |out| {
            command.run(Cli::command(), out).map(|()| 0)
        }),
        Some(Command::Compile(command)) => command.run(),
        None => {
            let monitoring = serve.monitoring().clone();
            startup.serve(&monitoring, serve.into_config(), |config, shutdown| {
                host::worker::run(config, shutdown, announce)
            })
        }
    }
}

/// The exit code of a command about plugins. A plugin that is refused is no wrong usage.
fn exit_code(done: anyhow::Result<bool>) -> anyhow::Result<u8> {
    match done {
        Ok(true) => Ok(0),
        Ok(false) => Ok(EXIT_FAILURE),
        Err(error) if error.is::<LoadError>() => {
            startup::print_error(&error);
            Ok(EXIT_FAILURE)
        }
        Err(error) => Err(error),
    }
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
