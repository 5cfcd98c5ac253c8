//! The programs of `worker dev`, and their output line by line.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::plugin::compile::program::{BACKTRACE_DETAILS, this_program};

/// How long the simulator may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a program may take to end, before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Settings of an operator that would change what is shown here.
const NOT_HERE: &[&str] = &[
    "ADMIN_LISTEN",
    "ALLOWED_IDS",
    "CONFIG",
    "DENIED_IDS",
    "FLEET",
    "LISTEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "REDIS_CA",
    "REQUIRE_SIGNATURES",
    "WEBHOOK_URL",
];

/// A line of a program's output, with the program's name.
pub(super) type Line = (&'static str, String);

/// Where the programs are.
pub(super) struct Programs {
    worker: PathBuf,
    coordinator: PathBuf,
    simulator: PathBuf,
}

/// One that runs.
pub(super) struct Program {
    name: &'static str,
    process: Child,
}

impl Programs {
    /// Finds the programs beside this one, where a release has them, or in `PATH`.
    pub(super) fn find() -> anyhow::Result<Self> {
        let worker = this_program().context("this program cannot find its own file")?;
        let here = env::current_exe().ok();
        let here = here.as_deref().and_then(Path::parent);
        let find = |name: &str| {
            let beside = here.map(|folder| folder.join(name)).filter(|path| path.is_file());
            beside.or_else(|| in_path(name)).with_context(|| {
                format!("`{name}` is neither beside `worker` nor in PATH; the archive of a release has both")
            })
        };
        Ok(Self {
            worker,
            coordinator: find("coordinator")?,
            simulator: find("telegram-simulator")?,
        })
    }

    /// Starts the simulator, and returns its address.
    pub(super) async fn simulator(
        &self,
        token: &str,
        lines: &mpsc::Sender<Line>,
    ) -> anyhow::Result<(Program, String)> {
        let mut command = Command::new(&self.simulator);
        command.args(["--listen", "127.0.0.1:0", "--token", token]);
        let (own, mut told) = mpsc::channel(10);
        let mut program = Program::start("simulator", &mut command, &own)?;
        drop(own);
        let first = tokio::time::timeout(READY_WITHIN, told.recv());
        let first = first.await.context("the simulator does not start")?;
        let address = first.as_ref().and_then(|(_, line)| line.strip_prefix("listening on "));
        let Some(address) = address.map(|address| address.trim().to_owned()) else {
            let _ = program.process.start_kill(); // It may have ended.
            bail!(
                "the simulator did not start: {}",
                first.map_or_else(String::new, |(_, line)| line)
            );
        };
        let lines = lines.clone();
        tokio::spawn(async move {
            while let Some(line) = told.recv().await {
                let _ = lines.send(line).await; // The reader ends only with the command.
            }
        });
        Ok((program, address))
    }

    /// Starts a worker with the plugins of `folder`.
    pub(super) fn worker(
        &self,
        folder: &Path,
        redis: &str,
        place: &Path,
        lines: &mpsc::Sender<Line>,
    ) -> anyhow::Result<Program> {
        let mut command = Command::new(&self.worker);
        // There, because a `.env` with the plugin's secrets may lie beside it.
        command.current_dir(folder).env("REDIS_URL", redis).env("PLUGINS", folder);
        // Its own archive: rollbacks and refused versions of an earlier day would confuse.
        command.env("PLUGIN_CACHE", place.join("cache")).env("PLUGIN_WAIT_SECONDS", "2");
        command.env("HISTORY_TEXTS", "whole").env(BACKTRACE_DETAILS, "1");
        Program::start("worker", &mut command, lines)
    }

    /// Starts a coordinator for the simulator's bot.
    pub(super) fn coordinator(
        &self,
        token: &str,
        telegram: &str,
        redis: &str,
        place: &Path,
        lines: &mpsc::Sender<Line>,
    ) -> anyhow::Result<Program> {
        let mut command = Command::new(&self.coordinator);
        command.current_dir(place);
        command.env("TELEGRAM_BOT_TOKEN", token).env("TELEGRAM_API_URL", telegram);
        command.env("REDIS_URL", redis);
        Program::start("coordinator", &mut command, lines)
    }
}

impl Program {
    fn start(
        name: &'static str,
        command: &mut Command,
        lines: &mpsc::Sender<Line>,
    ) -> anyhow::Result<Self> {
        command.env("LOG_FORMAT", "json").env("RUST_LOG", "info,host::sandbox::output=trace");
        NOT_HERE.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for this program, which ends the others in order.
        command.process_group(0).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        if let Some(output) = process.stdout.take() {
            read(name, output, lines.clone());
        }
        if let Some(errors) = process.stderr.take() {
            read(name, errors, lines.clone());
        }
        Ok(Self { name, process })
    }

    /// What to say when it has ended by itself.
    pub(super) fn ended(&mut self) -> Option<anyhow::Error> {
        let status = self.process.try_wait().ok()??;
        Some(anyhow::anyhow!("{} ended by itself ({status})", self.name))
    }

    /// Ends it: by a signal, and if that does not help in time, by force.
    pub(super) async fn end(self) {
        end(self.process).await;
    }
}

/// Sends each line of a stream on.
fn read(
    name: &'static str,
    stream: impl AsyncRead + Send + Unpin + 'static,
    to: mpsc::Sender<Line>,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = to.send((name, line)).await; // Nobody reads any more when all ends.
        }
    });
}

/// As [`Program::end`].
pub(super) async fn end(mut process: Child) {
    let id = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(id) = id {
        let _ = kill_process(id, Signal::TERM); // It may have ended.
    }
    if tokio::time::timeout(END_WITHIN, process.wait()).await.is_err() {
        let _ = process.kill().await;
    }
}

/// A program of `PATH`.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Fires at Ctrl-C, SIGTERM, and when the terminal is closed.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let stop = ops::shutdown::signal_token()?;
    let mut closed = signal(SignalKind::hangup())?;
    let fired = stop.clone();
    tokio::spawn(async move {
        closed.recv().await;
        fired.cancel();
    });
    Ok(stop)
}
