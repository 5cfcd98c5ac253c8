//! One Redis, the workers, and the commands of whoever pushes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::bench::program::Background;
use crate::command::capture;
use crate::redis::{Connection, Redis};
use crate::stop::Stop;

const PLUGIN: &str = "search";
const BOUND: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(5);

/// What every worker should report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Running,
    Refused,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Refused => "refused",
        }
    }
}

pub(super) struct Bed {
    // Dropped first: a worker whose Redis is gone takes long to end.
    workers: Vec<Background>,
    connection: Connection,
    redis: Redis,
    program: PathBuf,
    /// The component that all versions are made of.
    component: Vec<u8>,
    /// What the fleet should run.
    wanted: String,
    /// The good versions so far.
    good: Vec<String>,
    place: TempDir,
}

impl Bed {
    /// Each worker has a plugin folder of its own with the grants. All share the folder of prepared plugins, as workers of one
    /// machine do; whoever pushes has another.
    pub(super) fn start(
        root: &Path,
        workers: usize,
        program: PathBuf,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let redis = Redis::start(stop)?;
        let place = tempfile::tempdir().context("creating a folder")?;
        let plugins = root.join("plugins");
        let component = fs::read(plugins.join(PLUGIN).with_extension("wasm"));
        let mut bed = Self {
            workers: Vec::new(),
            connection: Connection::open(redis.port())?,
            redis,
            program,
            component: component.context("reading the plugin")?,
            wanted: String::new(),
            good: Vec::new(),
            place,
        };
        let settings = "search.toml";
        let data = "data/creators.csv";
        for number in 0..workers {
            let folder = bed.place.path().join(format!("worker-{number}"));
            fs::create_dir_all(folder.join("data")).context("creating a plugin folder")?;
            for file in [settings, data] {
                let copied = fs::copy(plugins.join(file), folder.join(file));
                copied.with_context(|| format!("copying {file}"))?;
            }
            let zone = if number % 2 == 0 { "zone=eu" } else { "zone=us" };
            let mut command = Command::new(&bed.program);
            command.arg("--plugins").arg(&folder).args(["--fleet", "--label", zone]);
            command.args(["--redis-url", &bed.redis.url()]);
            command.env("PLUGIN_CACHE", bed.place.path().join("cache"));
            for variable in ["RUST_LOG", "LOG_FORMAT", "LISTEN", "CONCURRENCY", "SUPABASE_URL"] {
                command.env_remove(variable);
            }
            let log = bed.place.path().join(format!("{number}.log"));
            bed.workers.push(Background::start(&mut command, &log)?);
        }
        let deadline = Instant::now() + BOUND;
        let ready =
            |worker: &Background| worker.output().lines().any(|line| line.starts_with("ready:"));
        while !bed.workers.iter().all(ready) {
            bed.check(deadline, stop)?;
        }
        Ok(bed)
    }

    pub(super) fn port(&self) -> u16 {
        self.redis.port()
    }

    pub(super) fn component_bytes(&self) -> usize {
        self.component.len()
    }

    /// Saves a version and pushes it.
    pub(super) fn push(&mut self, number: u32, stop: &Stop) -> anyhow::Result<()> {
        let mut component = self.component.clone();
        // A custom section: another digest, the same behaviour.
        component.extend([0, 8, 3, b'n', b't', b'h']);
        component.extend(number.to_be_bytes());
        self.push_bytes(&component, false, stop)?;
        self.good.push(self.wanted.clone());
        Ok(())
    }

    /// Saves half of a version and pushes it without checking.
    pub(super) fn push_broken(&mut self, number: u32, stop: &Stop) -> anyhow::Result<()> {
        let half = self.component.len() / 2;
        let mut component = self.component.get(..half).unwrap_or_default().to_vec();
        component.extend(number.to_be_bytes());
        self.push_bytes(&component, true, stop)
    }

    fn push_bytes(&mut self, bytes: &[u8], unchecked: bool, stop: &Stop) -> anyhow::Result<()> {
        ensure!(!stop.requested(), "interrupted");
        let folder = self.place.path().join("pushes");
        fs::create_dir_all(folder.join("data")).context("creating a folder")?;
        let worker = self.place.path().join("worker-0");
        for file in ["search.toml", "data/creators.csv"] {
            fs::copy(worker.join(file), folder.join(file)).context("copying the settings")?;
        }
        let file = folder.join("search.wasm");
        fs::write(&file, bytes).context("saving a version")?;
        self.wanted = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut command = self.fleet("push");
        command.arg(file).arg("--settings").arg(folder.join("search.toml"));
        if unchecked {
            command.arg("--unchecked");
        }
        capture(&mut command).map(drop)
    }

    /// Goes back by one version.
    pub(super) fn roll_back(&mut self, stop: &Stop) -> anyhow::Result<()> {
        ensure!(!stop.requested(), "interrupted");
        self.good.pop();
        self.wanted = self.good.last().cloned().context("there is a version before")?;
        capture(self.fleet("rollback").arg(PLUGIN).args(["--to", &self.wanted])).map(drop)
    }

    /// Waits until every worker reports this step for the version that it should run.
    pub(super) fn wait(&mut self, step: Step, stop: &Stop) -> anyhow::Result<()> {
        let deadline = Instant::now() + BOUND;
        while !self.all_report(step)? {
            self.check(deadline, stop)?;
        }
        Ok(())
    }

    fn all_report(&mut self, step: Step) -> anyhow::Result<bool> {
        let prefix = "freefans:fleet:{fleet}:";
        let workers = self.connection.ask(&["ZRANGE", &format!("{prefix}workers"), "0", "-1"])?;
        let mut reported = 0;
        for worker in workers.lines() {
            let report = self.connection.ask(&["GET", &format!("{prefix}report:{worker}")])?;
            let Ok(report) = serde_json::from_str::<Value>(&report) else { continue };
            let plugins = report.get("plugins").and_then(Value::as_array);
            let is_there = plugins.into_iter().flatten().any(|plugin| {
                let text = |name: &str| plugin.get(name).and_then(Value::as_str);
                text("name") == Some(PLUGIN)
                    && text("digest") == Some(&self.wanted)
                    && text("step") == Some(step.name())
            });
            reported += usize::from(is_there);
        }
        Ok(reported == self.workers.len())
    }

    fn fleet(&self, action: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["fleet", action]).env("REDIS_URL", self.redis.url());
        command.env("PLUGIN_CACHE", self.place.path().join("pusher")).env_remove("RUST_LOG");
        command
    }

    fn check(&mut self, deadline: Instant, stop: &Stop) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            worker.check_alive()?;
        }
        ensure!(!stop.requested(), "interrupted");
        if Instant::now() > deadline {
            let logs: Vec<String> = self
                .workers
                .iter()
                .map(|worker| crate::command::last_lines(&worker.output(), 3))
                .collect();
            bail!("the workers were not done within {} s:\n{}", BOUND.as_secs(), logs.join("\n"));
        }
        std::thread::sleep(TICK);
        Ok(())
    }
}
