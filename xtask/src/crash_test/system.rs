//! Everything that a crash test runs, and what the queue says about it at the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

use super::servers::RedisServers;
use crate::command::capture;
use crate::paths::target_dir;
use crate::redis;
use crate::service::Service;
use crate::stop::Stop;

const TOKEN: &str = "123456:SIMULATOR";
pub(super) const WORKERS: usize = 3;
pub(super) const COORDINATORS: usize = 2;
const READY_BOUND: Duration = Duration::from_secs(60);
/// The type of the slow tasks. Nothing but a lost worker makes them run again.
const SLOW: &str = "probe_sleep";

/// In the plugin folder; what begins with a dot is no plugin.
const CACHE: &str = ".cache";

/// Everything that runs.
pub(super) struct System {
    pub(super) workers: Vec<Option<Service>>,
    pub(super) coordinators: Vec<Option<Service>>,
    _telegram: Service,
    pub(super) redis: RedisServers,
    pub(super) simulator: String,
    programs: Programs,
    logs: TempDir,
}

/// How the programs are started.
struct Programs {
    folder: PathBuf,
    /// Those of the release before: every other process is of it.
    previous: Option<PathBuf>,
    plugins: TempDir,
    started: usize,
}

impl System {
    pub(super) fn start(
        root: &Path,
        in_cluster: bool,
        previous: Option<&Path>,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir().context("creating a folder for logs")?;
        let folder = target_dir(root).join("debug");
        redis::ensure_installed()?;
        let redis = RedisServers::start(in_cluster)?;
        let mut command = Command::new(folder.join("telegram-simulator"));
        command.args(["--listen", "127.0.0.1:0"]);
        let mut telegram = Service::start("simulator", &mut command, logs.path())?;
        let simulator = telegram.wait_for_line("its address", READY_BOUND, stop, |line| {
            line.strip_prefix("listening on ").map(|address| address.trim().to_owned())
        })?;
        let previous = previous.map(std::path::absolute).transpose().context("--previous")?;
        let programs = Programs { folder, previous, plugins: plugins(root)?, started: 0 };
        let mut system = Self {
            workers: Vec::new(),
            coordinators: Vec::new(),
            _telegram: telegram,
            redis,
            simulator,
            programs,
            logs,
        };
        for _ in 0..WORKERS {
            system.workers.push(None);
        }
        for _ in 0..COORDINATORS {
            system.coordinators.push(None);
        }
        system.revive()?;
        for worker in system.workers.iter_mut().flatten() {
            let ready = |line: &str| line.starts_with("ready:").then_some(());
            worker.wait_for_line("its `ready:` line", READY_BOUND, stop, ready)?;
        }
        Ok(system)
    }

    /// Starts every program that does not run.
    pub(super) fn revive(&mut self) -> anyhow::Result<()> {
        let url = self.redis.url();
        for slot in 0..WORKERS {
            if self.workers.get(slot).is_some_and(Option::is_none) {
                let mut command = self.programs.service("worker");
                command.arg("--plugins").arg(self.programs.plugins.path());
                command.args(["--redis-url", &url, "--fleet"]);
                // The first worker has a folder of the fleet's plugins for itself, the others share one.
                command.args(["--label", if slot == 0 { "alone" } else { "shared" }]);
                command.env("PLUGIN_CACHE", self.programs.plugins.path().join(CACHE));
                let service = self.spawn("worker", &mut command)?;
                if let Some(worker) = self.workers.get_mut(slot) {
                    *worker = Some(service);
                }
            }
        }
        for slot in 0..COORDINATORS {
            if self.coordinators.get(slot).is_some_and(Option::is_none) {
                let mut command = self.programs.service("coordinator");
                command
                    .env("REDIS_URL", &url)
                    .env("TELEGRAM_BOT_TOKEN", TOKEN)
                    .env("TELEGRAM_API_URL", &self.simulator)
                    // The load is more than Telegram would take; this simulator takes it.
                    .envs(["LIMIT_OVERALL", "LIMIT_CHAT", "LIMIT_GROUP"].map(|limit| (limit, "0")));
                let service = self.spawn("coordinator", &mut command)?;
                if let Some(coordinator) = self.coordinators.get_mut(slot) {
                    *coordinator = Some(service);
                }
            }
        }
        Ok(())
    }

    fn spawn(&mut self, name: &'static str, command: &mut Command) -> anyhow::Result<Service> {
        self.programs.started += 1;
        let folder = self.logs.path().join(format!("{:03}", self.programs.started));
        std::fs::create_dir(&folder).context("creating a folder for a log")?;
        Service::start(name, command, &folder)
    }

    /// Compares the queue's own counters at the end and returns the broken promises. `losses_seen` is how many lost
    /// workers the accepted results of the slow tasks report.
    pub(super) fn report(
        &mut self,
        until: Instant,
        losses_seen: Option<u64>,
    ) -> anyhow::Result<Vec<String>> {
        let mut broken = Vec::new();
        // Acknowledging the last answers takes a moment more than showing them.
        let mut stats = self.stats()?;
        while under_way(&stats) != 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(200));
            stats = self.stats()?;
        }
        println!("\nthe queue's own counters:");
        for row in stats.iter().filter(|row| count(row, "submitted") > 0) {
            let name = row.get("task_type").and_then(Value::as_str).unwrap_or_default();
            let ended: u64 = ["completed", "failed", "timeout", "cancelled"]
                .iter()
                .map(|state| count(row, state))
                .sum();
            let submitted = count(row, "submitted");
            let lost = count(row, "lost");
            let shown = count(row, "delivered") + count(row, "undeliverable");
            println!(
                "  {name}: {submitted} submitted, {ended} ended, {shown} acknowledged, {lost} leases reclaimed, {} late results refused",
                count(row, "stale")
            );
            // A result accepted from a worker whose lease had ended reports one loss too few. After a failover the new
            // master may not know of an attempt that ran, so there the two may differ.
            if name == SLOW
                && !self.redis.is_cluster()
                && let Some(losses_seen) = losses_seen
                && lost != losses_seen
            {
                broken.push(format!(
                    "{name}: {lost} leases were reclaimed, but the accepted results report {losses_seen}: a late one was accepted"
                ));
            }
            if submitted != ended {
                broken.push(format!("{name}: {submitted} tasks were accepted and {ended} ended"));
            }
            if shown != ended {
                broken.push(format!(
                    "{name}: {ended} tasks ended and {shown} answers left the outbox"
                ));
            }
        }
        if under_way(&stats) != 0 {
            broken.push(format!("{} tasks or answers are still under way", under_way(&stats)));
        }
        Ok(broken)
    }

    /// A command of the worker's program.
    pub(super) fn worker_command(&self) -> Command {
        self.programs.command("worker")
    }

    /// The folders in which workers keep what they fetch.
    pub(super) fn caches(&self) -> Vec<PathBuf> {
        vec![self.programs.plugins.path().join(CACHE)]
    }

    /// The logs of all workers, of those that were killed as well.
    pub(super) fn worker_logs(&self) -> String {
        let folders = std::fs::read_dir(self.logs.path()).into_iter().flatten().flatten();
        let logs = folders.map(|folder| folder.path().join("worker.log"));
        logs.filter_map(|log| std::fs::read(log).ok())
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .collect()
    }

    /// How many processes were started, and how many of these of the release before.
    pub(super) fn started(&self) -> (usize, usize) {
        let all = self.programs.started;
        (all, if self.programs.previous.is_some() { all / 2 } else { 0 })
    }

    /// How many processes ended by themselves.
    pub(super) fn ended(&mut self) -> usize {
        let all = self.workers.iter_mut().chain(&mut self.coordinators).flatten();
        all.filter_map(Service::ended).count()
    }

    fn stats(&self) -> anyhow::Result<Vec<Value>> {
        let mut command = Command::new(self.programs.folder.join("coordinator"));
        command.args(["queue", "stats", "--json", "--redis-url", &self.redis.url()]);
        let stats: Value = serde_json::from_str(&capture(&mut command)?)
            .context("`coordinator queue stats --json` printed no JSON")?;
        Ok(stats.get("types").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Keeps the logs and returns their folder.
    pub(super) fn keep_logs(self) -> anyhow::Result<String> {
        let Self { logs, .. } = self;
        Ok(logs.keep().display().to_string())
    }
}

impl Programs {
    /// The next process, which may be of the release before.
    fn service(&self, name: &str) -> Command {
        let previous = self.previous.as_ref().filter(|_| !self.started.is_multiple_of(2));
        self.command_in(previous.unwrap_or(&self.folder), name)
    }

    fn command(&self, name: &str) -> Command {
        self.command_in(&self.folder, name)
    }

    fn command_in(&self, folder: &Path, name: &str) -> Command {
        let mut command = Command::new(folder.join(name));
        command.current_dir(self.plugins.path());
        for variable in ["RUST_LOG", "SUPABASE_URL", "EXTENDED_SEARCH_URL", "LOG_FORMAT"] {
            command.env_remove(variable);
        }
        command
    }
}

fn count(row: &Value, counter: &str) -> u64 {
    row.get("counters").and_then(|counters| counters.get(counter)?.as_u64()).unwrap_or(0)
}

fn under_way(stats: &[Value]) -> u64 {
    let number = |row: &Value, name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    stats
        .iter()
        .map(|row| {
            ["ready", "delayed", "active", "replies"]
                .iter()
                .map(|name| number(row, name))
                .sum::<u64>()
        })
        .sum()
}

/// A plugin folder with the shipped plugins and the probe, whose tasks take as long as they are told.
fn plugins(root: &Path) -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir().context("creating a plugin folder")?;
    test_kit::copy_shipped_plugins(folder.path()).context("copying the plugins")?;
    let probe = target_dir(root).join("guests").join("probe.wasm");
    std::fs::copy(probe, folder.path().join("probe.wasm")).context("copying the probe")?;
    std::fs::write(folder.path().join("probe.toml"), "[grants]\nnet = []\n")?;
    Ok(folder)
}
