//! The start of a program: settings, command line, logs, runtime, signals, exit code.

use std::io::StdoutLock;
use std::process::ExitCode;

use clap::{ArgMatches, Command, Parser};
use tokio_util::sync::CancellationToken;

use crate::environment::without_empty;
use crate::flags::MonitoringFlags;
use crate::settings::Sources;
use crate::shutdown;
use crate::telemetry;
use crate::trace::TraceSettings;
use crate::trace::export::Export;

/// Exit code for a failure.
pub const EXIT_FAILURE: u8 = 1;
/// Exit code for wrong usage or bad configuration, from sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// Subcommands that run also when something is wrong with `.env` or the file of settings: they need none, or say what is
/// wrong themselves.
const WITHOUT_SETTINGS: [&str; 6] = ["compile", "completions", "config", "doctor", "health", "man"];

/// A program that has read its settings and its command line.
#[derive(Debug)]
pub struct Startup {
    /// As the program describes it, without the values of files.
    pub(crate) command: Command,
    pub(crate) matches: ArgMatches,
    pub(crate) sources: Sources,
}

impl Startup {
    /// Reads `.env`, the command line and the TOML file. A flag wins over a variable of the environment, which wins over
    /// `.env`, which wins over the file.
    ///
    /// # Errors
    ///
    /// The exit code, when there is nothing to run: after `--help` or `--version`, or after wrong usage or a file that cannot be
    /// used, which is printed.
    pub fn parse<C: Parser>() -> Result<(Self, C), ExitCode> {
        let mut sources = Sources::load_dotenv();
        let command = C::command();
        let print = |error: clap::Error| {
            let _ = error.print(); // Fails only when nobody can read it.
            let exit_code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            ExitCode::from(exit_code)
        };
        // First without the files: a flag may name one, and the help is the same whatever is in them.
        let matches = without_empty(command.clone()).try_get_matches().map_err(print)?;
        sources.read_files(&command, &matches);
        let needs_none = |name| WITHOUT_SETTINGS.contains(&name);
        if !sources.problems.is_empty() && !matches.subcommand_name().is_some_and(needs_none) {
            return Err(usage_error(&sources.problems));
        }
        let with_files = without_empty(sources.apply(command.clone()));
        let matches = with_files.try_get_matches().map_err(print)?;
        let cli = C::from_arg_matches(&matches).map_err(print)?;
        Ok((Self { command, matches, sources }, cli))
    }

    /// What is wrong with `.env` and the files.
    pub fn problems(&self) -> &[String] {
        &self.sources.problems
    }

    /// Runs a service until it ends. Its token fires at the first SIGTERM or Ctrl-C. An error of `run` is logged.
    pub fn serve<C, F>(
        self,
        monitoring: &MonitoringFlags,
        config: Result<C, Vec<String>>,
        run: impl FnOnce(C, CancellationToken) -> F,
    ) -> ExitCode
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let traces = match (monitoring.logging().problem(), monitoring.traces()) {
            (Some(problem), _) => return usage_error(&[problem]),
            (None, Err(problems)) => return usage_error(&problems),
            (None, Ok(traces)) => traces,
        };
        if let Err(error) = telemetry::init(&monitoring.logging()) {
            return usage_error(&[format!("{error:#}")]);
        }
        let config = match config {
            Ok(config) => config,
            Err(problems) => return usage_error(&problems),
        };
        let program = self.command.get_name().to_owned();
        let result = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)
            .and_then(|runtime| {
                runtime.block_on(async {
                    let export = start_export(traces, &program);
                    // Not on this thread: to wake it costs more than to wake a task of the runtime.
                    let running = tokio::spawn(run(config, shutdown::signal_token()?));
                    let ended = running.await;
                    if let Some(export) = export {
                        export.finish().await;
                    }
                    ended.unwrap_or_else(|error| match error.try_into_panic() {
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

/// Starts to send traces, if they are sent anywhere. Without them the program does its work all the same.
fn start_export(traces: Option<TraceSettings>, program: &str) -> Option<Export> {
    Export::start(traces?, program)
        .inspect_err(|error| tracing::error!(error = %format!("{error:#}"), "no traces are sent"))
        .ok()
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
            print_error(&error);
            ExitCode::from(on_error)
        }
    }
}

fn usage_error(problems: &[String]) -> ExitCode {
    print_errors(problems);
    ExitCode::from(EXIT_USAGE)
}

/// Prints an error with its causes, as a subcommand that ends with it.
pub fn print_error(error: &anyhow::Error) {
    print_errors(&[format!("{error:#}")]);
}

#[expect(clippy::print_stderr, reason = "whoever started the program reads it")]
fn print_errors(errors: &[String]) {
    for error in errors {
        eprintln!("error: {error}");
    }
}
