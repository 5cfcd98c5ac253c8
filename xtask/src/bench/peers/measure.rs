//! One repetition with one peer: submit, drain, and wait for results.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::list::{Counted, Peer};
use crate::bench::drained::{Drained, Moment, PerTask};
use crate::bench::program::{Background, figures};
use crate::bench::usage;
use crate::redis::{Connection, Info, Redis};
use crate::stop::Stop;

/// Tasks that end before counting begins: what happens once at the start of a worker does not count.
pub(super) const WARM_UP: u64 = 500;
/// The most tasks that are submitted one call after the other.
const SINGLE_AT_MOST: u64 = 5_000;
const BOUND: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(5);
/// Between the end of the backlog and the look at an idle worker.
const SETTLE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(3);

/// What was measured; what a peer does not have is absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) tasks: u64,
    pub(super) load: f64,
    pub(super) single_per_s: f64,
    pub(super) bulk_per_s: Option<f64>,
    pub(super) bytes_per_waiting: f64,
    pub(super) jobs_per_s: f64,
    pub(super) each: PerTask,
    pub(super) memory_mib: f64,
    pub(super) idle_cpu_percent: f64,
    pub(super) idle_commands_per_s: f64,
    pub(super) idle_round_trips_per_s: f64,
    pub(super) reply_ms: Option<[f64; 3]>,
    /// Why nothing could be waited for.
    pub(super) wait_failed: Option<String>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amounts {
    pub(super) tasks: u64,
    pub(super) waits: u64,
}

/// The server, and what asks it.
pub(super) struct Bed<'a> {
    pub(super) redis: &'a Redis,
    pub(super) connection: Connection,
    pub(super) stop: &'a Stop,
}

impl Bed<'_> {
    /// Runs one peer once.
    pub(super) fn run(&mut self, peer: &Peer, amounts: Amounts) -> anyhow::Result<Figures> {
        let tasks = amounts.tasks.min(peer.tasks_at_most.unwrap_or(u64::MAX));
        ensure!(tasks > WARM_UP, "the first {WARM_UP} tasks are not counted: take a larger --n");
        let mut figures =
            Figures { tasks, load: crate::bench::environment::load(), ..Figures::default() };
        self.submit(peer, tasks, &mut figures)?;
        let folder = tempfile::tempdir().context("creating a folder for a worker")?;
        let mut worker = self.start(peer, tasks, &folder)?;
        self.drain(peer, tasks, &mut worker, folder.path(), &mut figures)?;
        std::thread::sleep(SETTLE);
        self.look_at_idle(&worker, &mut figures)?;
        if let Some(at_most) = peer.waits {
            let times = amounts.waits.min(at_most);
            if times > 0 {
                match self.wait(peer, times) {
                    Ok(reply_ms) => figures.reply_ms = Some(reply_ms),
                    Err(error) => figures.wait_failed = Some(format!("{error:#}")),
                }
            }
        }
        worker.check_alive()?;
        Ok(figures)
    }

    fn empty(&mut self) -> anyhow::Result<()> {
        self.connection.ask(&["FLUSHALL"]).map(drop)
    }

    /// Submits the tasks that will be drained; before that, some of them one by one if there is a faster way.
    fn submit(&mut self, peer: &Peer, tasks: u64, figures: &mut Figures) -> anyhow::Result<()> {
        self.empty()?;
        if peer.bulk {
            figures.single_per_s = self.submit_as(peer, "single", tasks.min(SINGLE_AT_MOST))?;
            self.empty()?;
        }
        let empty = Info::of(&mut self.connection)?.memory;
        if peer.bulk {
            figures.bulk_per_s = Some(self.submit_as(peer, "bulk", tasks)?);
        } else {
            figures.single_per_s = self.submit_as(peer, "single", tasks)?;
        }
        let full = Info::of(&mut self.connection)?.memory;
        figures.bytes_per_waiting = full.saturating_sub(empty) as f64 / tasks as f64;
        Ok(())
    }

    fn submit_as(&self, peer: &Peer, mode: &str, tasks: u64) -> anyhow::Result<f64> {
        let read = self.produce(peer, &["submit", mode, &tasks.to_string()])?;
        let rate = read.get("per_s").and_then(Value::as_f64);
        rate.context("the producer names no rate")
    }

    fn wait(&self, peer: &Peer, times: u64) -> anyhow::Result<[f64; 3]> {
        let read = self.produce(peer, &["wait", &times.to_string()])?;
        let ms = |name: &str| read.get(name).and_then(Value::as_f64);
        let times = ms("p50_ms").zip(ms("p95_ms")).zip(ms("p99_ms"));
        let ((p50, p95), p99) = times.context("the producer names no times")?;
        Ok([p50, p95, p99])
    }

    fn produce(&self, peer: &Peer, words: &[&str]) -> anyhow::Result<Value> {
        ensure!(!self.stop.requested(), "interrupted");
        let mut all = peer.producer.clone();
        all.extend(words.iter().map(|word| (*word).to_owned()));
        figures(&mut peer.command(&all, &self.redis.url())?, BOUND)
    }

    fn start(&self, peer: &Peer, tasks: u64, folder: &TempDir) -> anyhow::Result<Background> {
        let mut command = peer.command(&peer.worker, &self.redis.url())?;
        command
            .env("BENCH_MARKS", folder.path().join("mark"))
            .env("BENCH_FIRST", WARM_UP.to_string())
            .env("BENCH_LAST", tasks.to_string());
        Background::start(&mut command, &folder.path().join("log"))
    }

    /// Waits until all tasks have ended, and compares the moment after the warm-up with the end.
    fn drain(
        &mut self,
        peer: &Peer,
        tasks: u64,
        worker: &mut Background,
        folder: &Path,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let first = self.moment_with(peer, tasks, WARM_UP, worker, folder)?;
        let last = self.moment_with(peer, tasks, tasks, worker, folder)?;
        let seconds = match &peer.counted {
            Counted::ByFiles => read_mark(folder, "last")? - read_mark(folder, "first")?,
            Counted::Ended(_) | Counted::Waiting(_) => (last.at - first.at).as_secs_f64(),
        };
        let mut drained = Drained::default();
        drained.add(&first, &last);
        figures.each = drained.per_task()?;
        figures.jobs_per_s = drained.tasks as f64 / seconds;
        figures.memory_mib = usage::memory_mib(worker.id());
        Ok(())
    }

    /// Waits until so many tasks have ended.
    fn moment_with(
        &mut self,
        peer: &Peer,
        tasks: u64,
        wanted: u64,
        worker: &mut Background,
        folder: &Path,
    ) -> anyhow::Result<Moment> {
        let deadline = Instant::now() + BOUND;
        loop {
            let ended = match &peer.counted {
                Counted::ByFiles => {
                    let name = if wanted == tasks { "mark.last" } else { "mark.first" };
                    if folder.join(name).exists() { wanted } else { 0 }
                }
                Counted::Ended(question) => self.connection.ask_number(&words(question))?,
                Counted::Waiting(question) => {
                    tasks.saturating_sub(self.connection.ask_number(&words(question))?)
                }
            };
            if ended >= wanted {
                let at = Instant::now();
                let cpu_us = usage::cpu_us(worker.id());
                let asked = self.connection.asked();
                let info = Info::of(&mut self.connection)?;
                return Ok(Moment { at, ended, cpu_us, info, asked });
            }
            worker.check_alive()?;
            ensure!(!self.stop.requested(), "interrupted");
            if Instant::now() > deadline {
                bail!("{ended} of {wanted} tasks ended within {} s", BOUND.as_secs());
            }
            std::thread::sleep(TICK);
        }
    }

    /// What a worker without tasks costs.
    fn look_at_idle(&mut self, worker: &Background, figures: &mut Figures) -> anyhow::Result<()> {
        let cpu_us = usage::cpu_us(worker.id());
        let before = Info::of(&mut self.connection)?;
        std::thread::sleep(IDLE);
        let idle = Info::of(&mut self.connection)?.since(&before).without(1);
        let seconds = IDLE.as_secs_f64();
        figures.idle_cpu_percent = (usage::cpu_us(worker.id()) - cpu_us) / seconds / 1e4;
        figures.idle_commands_per_s = idle.commands as f64 / seconds;
        figures.idle_round_trips_per_s = idle.reads as f64 / seconds;
        Ok(())
    }
}

fn words(question: &[String]) -> Vec<&str> {
    question.iter().map(String::as_str).collect()
}

/// Seconds since 1970.
fn read_mark(folder: &Path, name: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(folder.join(format!("mark.{name}")))?;
    text.trim().parse().with_context(|| format!("the mark says `{text}`"))
}
