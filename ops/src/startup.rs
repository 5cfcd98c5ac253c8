//! The start of a program: `.env`, command line, logs, runtime, signals, exit code.

use std::io::StdoutLock;
use std::process::ExitCode;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::environment::without_empty;
use crate::shutdown;
use crate::telemetry::{self, LogFormat};

/// Exit code for a failure.
pub const EXIT_FAILURE: u8 = 1;
/// Exit code for wrong usage or bad configuration, from sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// A program that has read `.env` and its command line.
#[derive(Debug)]
pub struct Startup {
    /// Why `.env` could not be read. It is logged later, because the log does not exist yet.
    dotenv_error: Option<dotenvy::Error>,
}

impl Startup {
    /// Reads `.env`, then the command line. A variable of the environment wins over `.env`, a flag over both.
    ///
    /// # Errors
    ///
    /// The exit code, when there is nothing to run: after `--help` or `--version`, or after wrong usage, which is printed.
    pub fn parse<C: Parser>() -> Result<(Self, C), ExitCode> {
        let dotenv_error = dotenvy::dotenv().err().filter(|error| !error.not_found());
        let parsed = without_empty(C::command()).try_get_matches();
        match parsed.and_then(|matches| C::from_arg_matches(&matches)) {
            Ok(cli) => Ok((Self { dotenv_error }, cli)),
            Err(error) => {
                let _ = error.print(); // Fails only when nobody can read it.
                let exit_code = if error.use_stderr() { EXIT_USAGE } else { 0 };
                Err(ExitCode::from(exit_code))
            }
        }
    }

    /// Runs a service until it ends. Its token fires at the first SIGTERM or Ctrl-C. An error of `run` is logged.
    pub fn serve<C, F>(
        self,
        log_format: LogFormat,
        config: Result<C, Vec<String>>,
        run: impl FnOnce(C, CancellationToken) -> F,
    ) -> ExitCode
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        if let Err(error) = telemetry::init(log_format) {
            return usage_error(&[format!("RUST_LOG: {error:#}")]);
        }
        let config = match config {
            Ok(config) => config,
            Err(problems) => return usage_error(&problems),
        };
        if let Some(error) = self.dotenv_error {
            tracing::warn!(error = %error, "cannot read the .env file");
        }
        let result = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)
            .and_then(|runtime| {
                runtime.block_on(async {
                    // Not on this thread: to wake it costs more than to wake a task of the runtime.
                    let running = tokio::spawn(run(config, shutdown::signal_token()?));
                    running.await.unwrap_or_else(|error| match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(cancelled) => Err(cancelled.into()),
                    })
                })
            });
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let error = format!("{error:#}");
                if tracing::enabled!(tracing::Level::ERROR) {
                    tracing::error!(error = %error, "stopped by an error");
                } else {
                    // `RUST_LOG` hides it, and a program must not end without a word.
                    print_errors(&[error]);
                }
                ExitCode::from(EXIT_FAILURE)
            }
        }
    }
}

/// Runs a subcommand, which writes its output to the given stream and returns its exit code. An error is printed, and the
/// exit code is `on_error`.
pub fn run_command(
    on_error: u8,
    run: impl AsyncFnOnce(&mut StdoutLock<'static>) -> anyhow::Result<u8>,
) -> ExitCode {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&mut std::io::stdout().lock())));
    match result {
        Ok(exit_code) => ExitCode::from(exit_code),
        Err(error) => {
            print_errors(&[format!("{error:#}")]);
            ExitCode::from(on_error)
        }
    }
}

fn usage_error(problems: &[String]) -> ExitCode {
    print_errors(problems);
    ExitCode::from(EXIT_USAGE)
}

#[expect(clippy::print_stderr, reason = "whoever started the program reads it")]
fn print_errors(errors: &[String]) {
    for error in errors {
        eprintln!("error: {error}");
    }
}
