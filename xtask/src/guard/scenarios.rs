//! What Redis counts, for each scenario.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::counts::{Count, Counts};
use crate::bench::driver;
use crate::command::capture;
use crate::ended::Ended;
use crate::no_ops::NoOps;
use crate::paths::target_dir;
use crate::redis::{Connection, Info, Redis};
use crate::service::Service;
use crate::stop::Stop;

/// Tasks that a worker drains.
const TASKS: usize = 1_000;
const AT_ONCE: &str = "16";
const TYPES: usize = 20;
/// How often a backlog is drained. The least counts: a busy machine makes a worker take fewer tasks in a call, never more.
const DRAINS: usize = 5;
const BOUND: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(5);

/// Runs all scenarios.
pub(super) fn count(root: &Path, driver: &Path, stop: &Stop) -> anyhow::Result<Counts> {
    let redis = Redis::start(stop)?;
    let mut bed = Bed { connection: Connection::open(redis.port())?, redis: &redis, driver, stop };
    let mut counts = Counts::new();
    let few = NoOps::new(1)?;
    counts.insert("submit one task".to_owned(), bed.submit("single", (100, 300), &few)?);
    counts.insert("submit 100 in one call".to_owned(), bed.submit("bulk", (1_000, 3_000), &few)?);
    counts.insert("claim and end 100 in two calls".to_owned(), bed.end((1_000, 3_000), &few)?);
    let worker = bed.worker(root, &few)?;
    counts.insert("drain 1,000 tasks".to_owned(), bed.drain(worker, &few, few.types())?);
    let many = NoOps::new(TYPES)?;
    for (name, types) in [("one of", many.types().get(..1)), ("all of", Some(many.types()))] {
        let worker = bed.worker(root, &many)?;
        let counted = bed.drain(worker, &many, types.unwrap_or_default())?;
        counts.insert(format!("drain 1,000 tasks of {name} {TYPES} types"), counted);
    }
    let worker = bed.worker(root, &few)?;
    counts.insert("submit a task and wait for it".to_owned(), bed.wait((100, 500), &few)?);
    drop(worker);
    Ok(counts)
}

struct Bed<'a> {
    redis: &'a Redis,
    connection: Connection,
    driver: &'a Path,
    stop: &'a Stop,
}

/// A running worker and its log.
struct Worker {
    service: Service,
    _logs: TempDir,
}

type Figures = std::collections::BTreeMap<String, f64>;

impl Bed<'_> {
    fn drive(&self, words: &[&str], types: &[String]) -> anyhow::Result<()> {
        let types = types.join(",");
        let mut command = driver::command(self.driver, &self.redis.url(), &types);
        // One user: how many users share a call depends on timing, and each costs some commands.
        capture(command.env("BENCH_USERS", "1").args(words)).map(drop)
    }

    fn empty(&mut self) -> anyhow::Result<()> {
        self.connection.ask(&["FLUSHALL"]).map(drop)
    }

    /// What `work` makes Redis count.
    fn counted(&mut self, work: impl FnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<Info> {
        let before = Info::of(&mut self.connection)?;
        work(self)?;
        // The question after the work counts itself.
        Ok(Info::of(&mut self.connection)?.since(&before).without(1))
    }

    /// Per task, from two amounts: what happens once for each connection is the same in both.
    fn submit(
        &mut self,
        mode: &str,
        amounts: (usize, usize),
        plugins: &NoOps,
    ) -> anyhow::Result<Figures> {
        let mut counted = Vec::new();
        for tasks in [amounts.0, amounts.1] {
            self.empty()?;
            let tasks = tasks.to_string();
            let info = self.counted(|bed| bed.drive(&["submit", mode, &tasks], plugins.types()))?;
            counted.push(info);
        }
        difference(&counted, amounts)
    }

    fn end(&mut self, amounts: (usize, usize), plugins: &NoOps) -> anyhow::Result<Figures> {
        let mut counted = Vec::new();
        for tasks in [amounts.0, amounts.1] {
            self.empty()?;
            let tasks = tasks.to_string();
            self.drive(&["submit", "bulk", &tasks], plugins.types())?;
            counted.push(self.counted(|bed| bed.drive(&["end", &tasks], plugins.types()))?);
        }
        difference(&counted, amounts)
    }

    fn wait(&mut self, amounts: (usize, usize), plugins: &NoOps) -> anyhow::Result<Figures> {
        let mut counted = Vec::new();
        for times in [amounts.0, amounts.1] {
            let times = times.to_string();
            counted.push(self.counted(|bed| bed.drive(&["wait", &times], plugins.types()))?);
        }
        difference(&counted, amounts)
    }

    /// Starts a worker on an empty Redis and waits until it has nothing to do.
    fn worker(&mut self, root: &Path, plugins: &NoOps) -> anyhow::Result<Worker> {
        self.empty()?;
        let logs = tempfile::tempdir().context("creating a folder for a log")?;
        let mut command = Command::new(target_dir(root).join("debug").join("worker"));
        command.current_dir(logs.path()).arg("--plugins").arg(plugins.folder());
        command.args(["--redis-url", &self.redis.url(), "--concurrency", AT_ONCE]);
        command.env("PLUGIN_CACHE", "none");
        for variable in ["RUST_LOG", "LOG_FORMAT", "LISTEN", "PLUGIN_WAIT_SECONDS"] {
            command.env_remove(variable);
        }
        let mut service = Service::start("worker", &mut command, logs.path())?;
        service.wait_for_line("its `ready:` line", BOUND, self.stop, |line| {
            line.starts_with("ready:").then_some(())
        })?;
        Ok(Worker { service, _logs: logs })
    }

    /// The least that draining costs.
    fn drain(
        &mut self,
        mut worker: Worker,
        plugins: &NoOps,
        types: &[String],
    ) -> anyhow::Result<Figures> {
        // One task of each type first: what is done once for a type does not count.
        let mut ended = plugins.types().len();
        self.drive(&["submit", "bulk", &ended.to_string()], plugins.types())?;
        self.wait_for_ended(ended, plugins.types())?;
        let mut least = Figures::new();
        for _ in 0..DRAINS {
            ended += TASKS;
            for (name, count) in self.drain_once(&mut worker, plugins, types, ended)? {
                let known = least.entry(name).or_insert(count);
                *known = count.min(*known);
            }
        }
        Ok(least)
    }

    /// Freezes the worker, submits, and counts from the moment when it goes on until all tasks have ended.
    fn drain_once(
        &mut self,
        worker: &mut Worker,
        plugins: &NoOps,
        types: &[String],
        ended: usize,
    ) -> anyhow::Result<Figures> {
        worker.service.signal("STOP");
        self.drive(&["submit", "bulk", &TASKS.to_string()], types)?;
        let start = Info::of(&mut self.connection)?;
        let asked = self.connection.asked();
        worker.service.signal("CONT");
        self.wait_for_ended(ended, plugins.types())?;
        let own = self.connection.asked() - asked + 1;
        let info = Info::of(&mut self.connection)?.since(&start).without(own);
        Ok(figures(&info, TASKS))
    }

    fn wait_for_ended(&mut self, wanted: usize, types: &[String]) -> anyhow::Result<()> {
        let deadline = Instant::now() + BOUND;
        let mut lanes = Ended::of(types, 1);
        loop {
            let ended = lanes.count(std::slice::from_mut(&mut self.connection))?;
            if ended >= wanted as u64 {
                return Ok(());
            }
            ensure!(!self.stop.requested(), "interrupted");
            ensure!(Instant::now() < deadline, "{ended} of {wanted} tasks ended");
            std::thread::sleep(TICK);
        }
    }
}

/// What the additional tasks cost, each.
fn difference(counted: &[Info], (few, many): (usize, usize)) -> anyhow::Result<Figures> {
    let [small, large] = counted else { anyhow::bail!("two amounts are compared") };
    Ok(figures(&large.since(small), many - few))
}

fn figures(info: &Info, tasks: usize) -> Figures {
    let of = |count: Count, number: u64| (count.name().to_owned(), number as f64 / tasks as f64);
    Figures::from([
        of(Count::Commands, info.commands),
        of(Count::RoundTrips, info.reads),
        of(Count::Scripts, info.scripts()),
    ])
}
