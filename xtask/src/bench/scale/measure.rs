//! One measurement of one setting.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::servers::Servers;
use super::settings::Setting;
use crate::bench::drained::{Drained, Moment, PerTask};
use crate::bench::program::{Background, figures};
use crate::bench::{driver, environment, usage};
use crate::ended::Ended;
use crate::no_ops::NoOps;
use crate::stop::Stop;

/// Tasks that end before counting begins, when there are enough.
const WARM_UP: u64 = 1_000;
/// The most tasks that are counted: the cost of one does not need all of a large backlog.
const COUNTED: u64 = 50_000;
/// A backlog up to this size is submitted while the workers are frozen: they would drain it before it is complete. A larger one
/// is submitted before they start, because a long freeze looks like an outage to them.
const FROZEN_UP_TO: u64 = 10_000;
/// A small backlog is drained again and again until about so many tasks have ended: processor time is counted in steps of 10 ms.
const TOGETHER: u64 = 5_000;
const ROUNDS_AT_MOST: u64 = 200;
/// Users whose tasks the driver submits in turn. With one task each, every partition is known.
const USERS: u64 = 50;
/// For submitting the largest backlog.
const SUBMIT_BOUND: Duration = Duration::from_secs(180);
const BOUND: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(2);

/// What ours is made of.
pub(super) struct Programs {
    pub(super) worker: std::path::PathBuf,
    pub(super) driver: std::path::PathBuf,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) load: f64,
    pub(super) tasks_per_s: f64,
    pub(super) each: PerTask,
    pub(super) bytes_per_waiting: f64,
}

struct Bed<'a> {
    // Dropped first: a worker whose Redis is gone takes long to end.
    workers: Vec<Background>,
    setting: &'a Setting,
    programs: &'a Programs,
    plugins: NoOps,
    servers: Servers,
    ended: Ended,
    logs: TempDir,
    stop: &'a Stop,
}

pub(super) fn run(
    root: &Path,
    programs: &Programs,
    setting: &Setting,
    stop: &Stop,
) -> anyhow::Result<Figures> {
    let servers = Servers::start(root, setting, stop)?;
    let plugins = NoOps::new(setting.types)?;
    let used = plugins.types().get(..setting.types_used).unwrap_or_default();
    let ended = Ended::of(used, setting.partitions);
    let logs = tempfile::tempdir().context("creating a folder for logs")?;
    let load = environment::load();
    let workers = Vec::new();
    let mut bed = Bed { workers, setting, programs, plugins, servers, ended, logs, stop };
    let figures = if setting.waiting <= FROZEN_UP_TO { bed.small() } else { bed.large() };
    Ok(Figures { load, ..figures? })
}

impl Bed<'_> {
    /// The workers are there first, and are frozen while the tasks are submitted.
    fn small(&mut self) -> anyhow::Result<Figures> {
        self.start_workers()?;
        // Every lane is known and every script is loaded before it counts.
        let mut ended = USERS.max(self.setting.types_used as u64);
        self.submit(ended)?;
        self.wait_for(ended)?;
        let empty = self.servers.info()?.memory;
        let mut drained = Drained::default();
        let mut bytes = 0;
        for _ in 0..(TOGETHER / self.setting.waiting).clamp(1, ROUNDS_AT_MOST) {
            self.workers.iter().for_each(|worker| worker.signal("STOP"));
            self.submit(self.setting.waiting)?;
            if drained.tasks == 0 {
                bytes = self.servers.info()?.memory.saturating_sub(empty);
            }
            let first = self.moment(ended)?;
            self.workers.iter().for_each(|worker| worker.signal("CONT"));
            ended += self.setting.waiting;
            let last = self.wait_for(ended)?;
            drained.add(&first, &last);
        }
        self.figures(&drained, bytes)
    }

    /// The tasks are there first, and some of them end before it counts.
    fn large(&mut self) -> anyhow::Result<Figures> {
        let empty = self.servers.info()?.memory;
        self.submit(self.setting.waiting)?;
        let full = self.servers.info()?.memory;
        self.start_workers()?;
        let first = self.wait_for(WARM_UP * self.setting.workers as u64)?;
        let left = self.setting.waiting - first.ended.min(self.setting.waiting);
        let last = self.wait_for(first.ended + left.min(COUNTED))?;
        let mut drained = Drained::default();
        drained.add(&first, &last);
        self.figures(&drained, full.saturating_sub(empty))
    }

    /// `bytes` is the memory of all waiting tasks together.
    fn figures(&self, drained: &Drained, bytes: u64) -> anyhow::Result<Figures> {
        Ok(Figures {
            load: 0.0,
            each: drained.per_task()?,
            tasks_per_s: drained.tasks as f64 / drained.seconds,
            bytes_per_waiting: bytes as f64 / self.setting.waiting as f64,
        })
    }

    fn start_workers(&mut self) -> anyhow::Result<()> {
        for number in 0..self.setting.workers {
            let mut command = Command::new(&self.programs.worker);
            command.current_dir(self.logs.path()).arg("--plugins").arg(self.plugins.folder());
            command.args(["--redis-url", &self.servers.url()]).env("PLUGIN_CACHE", "none");
            for variable in ["RUST_LOG", "LOG_FORMAT", "LISTEN", "CONCURRENCY"] {
                command.env_remove(variable);
            }
            let log = self.logs.path().join(format!("{number}.log"));
            self.workers.push(Background::start(&mut command, &log)?);
        }
        let deadline = Instant::now() + BOUND;
        let ready =
            |worker: &Background| worker.output().lines().any(|line| line.starts_with("ready:"));
        while !self.workers.iter().all(ready) {
            self.check(deadline)?;
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn submit(&self, tasks: u64) -> anyhow::Result<()> {
        let used = self.plugins.types().get(..self.setting.types_used).unwrap_or_default();
        let types = used.join(",");
        let mut command = driver::command(&self.programs.driver, &self.servers.url(), &types);
        command.env("BENCH_PARTITIONS", self.setting.partitions.to_string());
        figures(command.args(["submit", "bulk", &tasks.to_string()]), SUBMIT_BOUND).map(drop)
    }

    fn wait_for(&mut self, wanted: u64) -> anyhow::Result<Moment> {
        let deadline = Instant::now() + BOUND;
        loop {
            let ended = self.ended.count(&mut self.servers.connections)?;
            if ended >= wanted {
                return self.moment(ended);
            }
            self.check(deadline)?;
            std::thread::sleep(TICK);
        }
    }

    fn moment(&mut self, ended: u64) -> anyhow::Result<Moment> {
        let at = Instant::now();
        let cpu_us = self.workers.iter().map(|worker| usage::cpu_us(worker.id())).sum();
        let asked = self.servers.asked();
        Ok(Moment { at, ended, cpu_us, info: self.servers.info()?, asked })
    }

    fn check(&mut self, deadline: Instant) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            worker.check_alive()?;
        }
        ensure!(!self.stop.requested(), "interrupted");
        ensure!(Instant::now() < deadline, "not done within {} s", BOUND.as_secs());
        Ok(())
    }
}
