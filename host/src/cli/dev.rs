//! `worker dev`: everything that a plugin's author needs, in one command: Redis, a simulated Telegram, a coordinator and a worker, which
//! builds the plugin when a file changes, and tells what happens on the terminal.
//!
//! The programs are the real ones, each a process of its own. What the worker tells is read from its log, and what a task answered from
//! Redis, so nothing in the worker is different from what an operator runs.

mod build;
mod programs;
mod redis_server;
mod source;
mod story;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::build::Build;
use self::programs::{Program, Programs};
use self::redis_server::RedisServer;
use self::source::Source;
use self::story::Story;

/// The simulator takes any token of this form; it cannot be a real bot's.
const TOKEN: &str = "123456:SIMULATOR";
/// The chat whose page is printed.
const CHAT: u32 = 100;
/// A change is noticed within this time.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Runs a plugin while it is written: Redis, a simulated Telegram, a coordinator and a worker; builds on each change.
///
/// `FOLDER/build` is run when it is there, and after each change of a file of the folder. What is hidden, `target`, `node_modules`,
/// `__pycache__` and components do not count.
#[derive(Debug, clap::Args)]
pub struct DevCommand {
    /// The plugin's folder, with its `build` script, component and settings.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Uses this Redis instead of one that is started and ends with the command.
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
}

impl DevCommand {
    /// Runs until Ctrl-C, and ends all that it has started. Writes to `out` what happens.
    ///
    /// # Errors
    ///
    /// When a program is missing, or one of them ends by itself.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let folder = self.folder.canonicalize();
        let folder =
            folder.with_context(|| format!("there is no folder {}", self.folder.display()))?;
        let programs = Programs::find()?;
        let stop = programs::stop_signal()?;
        let place = tempfile::tempdir().context("cannot create a folder for temporary files")?;
        let redis = RedisServer::start(self.redis_url, place.path(), &stop).await?;
        writeln!(out, "Redis: {}", redis.told())?;
        let running = run(&folder, &programs, &redis, place.path(), &stop, out).await;
        redis.end().await;
        running
    }
}

/// Everything but Redis, which ends last: a worker needs it to return its tasks.
async fn run(
    folder: &Path,
    programs: &Programs,
    redis: &RedisServer,
    place: &Path,
    stop: &CancellationToken,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (lines, mut told) = mpsc::channel(1_000);
    let mut running: Vec<Program> = Vec::new();
    let (simulator, address) = programs.simulator(TOKEN, &lines).await?;
    running.push(simulator);
    let mut source = Source::of(folder);
    let mut build = Build::of(folder);
    build.run(out, stop).await?;
    source.built();
    let url = redis.url();
    running.push(programs.worker(folder, url, place, &lines)?);
    running.push(programs.coordinator(TOKEN, &address, url, place, &lines)?);
    writeln!(out, "chat page: {address}/?chat={CHAT}")?;
    writeln!(out, "Change a file, and it is built and loaded. Ctrl-C ends everything.\n")?;
    let mut story = Story::new(redis.queue(stop).await?);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let ended = loop {
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            Some((program, line)) = told.recv() => story.tell(out, program, &line).await?,
            _ = look.tick() => {
                if source.changed() {
                    build.run(out, stop).await?;
                    source.built();
                }
                if let Some(ended) = running.iter_mut().find_map(Program::ended) {
                    break Err(ended);
                }
            }
        }
    };
    for program in running.into_iter().rev() {
        program.end().await;
    }
    ended
}
