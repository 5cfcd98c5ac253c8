//! Pushes of a plugin to the fleet while everything around them is killed, frozen and cut off.
//!
//! The pushed plugin is another one than those that answer the questions, so that a fault of a push shows by itself. Good versions
//! differ in a section without a purpose; broken ones are half a component; some pushes are taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::random::Random;
use super::system::{System, WORKERS};
use crate::command::capture;
use crate::paths::target_dir;
use crate::service::Service;
use crate::stop::Stop;

const PLUGIN: &str = "dice";
/// Between two commands.
const PAUSE_MS: (u64, u64) = (500, 2_500);
/// A command that takes longer is killed, as a person would.
const COMMAND_BOUND: Duration = Duration::from_secs(20);
/// For the last push, and for the workers to follow it.
const SETTLE_BOUND: Duration = Duration::from_secs(90);
/// As many characters of a digest as the log shows.
const SHOWN: usize = 12;

/// What one command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Push,
    PushBroken,
    RollBack,
}

/// A command that runs.
struct Running {
    action: Action,
    service: Service,
    /// Where it writes its log; removed with it.
    _logs: TempDir,
    since: Instant,
    /// The digest that it pushes.
    digest: Option<String>,
}

pub(super) struct Pushes {
    random: Random,
    component: Vec<u8>,
    place: TempDir,
    next_at: Instant,
    versions: u32,
    running: Option<Running>,
    last_went_well: bool,
    /// What the last command that failed said.
    last_failure: String,
    /// Digests of all good versions that a push may have stored.
    good: BTreeSet<String>,
    counts: BTreeMap<&'static str, u32>,
}

impl Pushes {
    pub(super) fn new(root: &Path, seed: u64) -> anyhow::Result<Self> {
        let file = target_dir(root).join("examples").join(PLUGIN).with_extension("wasm");
        let component = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Self {
            // Other numbers than the faults draw, which stay the same with and without pushes.
            random: Random::new(!seed),
            component,
            place: tempfile::tempdir().context("creating a folder for pushes")?,
            next_at: Instant::now(),
            versions: 0,
            running: None,
            last_went_well: false,
            last_failure: String::new(),
            good: BTreeSet::new(),
            counts: BTreeMap::new(),
        })
    }

    /// Looks after the command that runs, and starts the next one when it is time.
    pub(super) fn step(&mut self, system: &System) -> anyhow::Result<()> {
        if self.is_busy() || Instant::now() < self.next_at {
            return Ok(());
        }
        let action = match self.random.below(6) {
            0 => Action::PushBroken,
            1 => Action::RollBack,
            _ => Action::Push,
        };
        self.start(system, action)
    }

    /// Pushes once more and waits until every worker runs it; then removes the plugin and waits until it is gone. Returns the
    /// promises that were broken.
    pub(super) fn end(&mut self, system: &mut System, stop: &Stop) -> anyhow::Result<Vec<String>> {
        let deadline = Instant::now() + SETTLE_BOUND;
        let mut broken = Vec::new();
        while self.is_busy() {
            ensure!(!stop.requested(), "interrupted");
            std::thread::sleep(Duration::from_millis(50));
        }
        let wanted = loop {
            self.start(system, Action::Push)?;
            let digest = self.running.as_ref().and_then(|running| running.digest.clone());
            while self.is_busy() {
                ensure!(!stop.requested(), "interrupted");
                std::thread::sleep(Duration::from_millis(50));
            }
            if self.last_went_well {
                break digest.unwrap_or_default();
            }
            if Instant::now() > deadline {
                broken.push(format!(
                    "pushes: none is accepted though the faults are over: {}",
                    self.last_failure
                ));
                return Ok(broken);
            }
        };
        let mut status = Value::Null;
        while Instant::now() < deadline {
            ensure!(!stop.requested(), "interrupted");
            status = self.status(system).unwrap_or_default();
            if runs_everywhere(&status, &wanted) {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        if !runs_everywhere(&status, &wanted) {
            broken.push(format!(
                "pushes: not every worker runs the last version {wanted:.12}: {status}"
            ));
        }
        broken.extend(self.check_published(system));
        broken.extend(check_stored(&system.caches()));
        capture(&mut self.command(system, "remove"))?;
        while !is_gone(&self.status(system)?) {
            ensure!(!stop.requested(), "interrupted");
            if Instant::now() > deadline {
                broken.push("pushes: a worker still runs the plugin that was removed".to_owned());
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(broken)
    }

    pub(super) fn report(&self) {
        let counts: Vec<String> =
            self.counts.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        println!("pushes: {}", counts.join(", "));
    }

    /// Whether a command runs. Notes how the last one ended.
    fn is_busy(&mut self) -> bool {
        let Some(running) = &mut self.running else { return false };
        let ended = running.service.ended();
        if ended.is_none() && running.since.elapsed() < COMMAND_BOUND {
            return true;
        }
        let well = ended.is_some_and(|status| status.success());
        let what = match (running.action, well) {
            (Action::Push, true) => "pushed",
            (Action::Push, false) => "push failed",
            (Action::PushBroken, true) => "broken version pushed",
            (Action::PushBroken, false) => "push of a broken version failed",
            (Action::RollBack, true) => "rolled back",
            (Action::RollBack, false) => "rollback refused or failed",
        };
        *self.counts.entry(what).or_default() += 1;
        let pause = self.random.duration(PAUSE_MS);
        self.next_at = Instant::now() + pause;
        self.last_went_well = well;
        if !well {
            self.last_failure = running.service.tail();
        }
        self.running = None;
        false
    }

    fn start(&mut self, system: &System, action: Action) -> anyhow::Result<()> {
        let logs = tempfile::tempdir().context("creating a folder for a log")?;
        let mut command = match action {
            Action::RollBack => self.command(system, "rollback"),
            Action::Push | Action::PushBroken => self.command(system, "push"),
        };
        let mut digest = None;
        if action == Action::RollBack {
            command.arg(PLUGIN);
        } else {
            let (file, found) = self.save(action == Action::PushBroken)?;
            command.args(["--name", PLUGIN]).arg(file);
            if action == Action::PushBroken {
                command.arg("--unchecked");
            } else {
                self.good.insert(found.clone());
            }
            digest = Some(found);
        }
        let service = Service::start("push", &mut command, logs.path())?;
        let since = Instant::now();
        self.running = Some(Running { action, service, _logs: logs, since, digest });
        Ok(())
    }

    /// Saves the next version, or half of it.
    fn save(&mut self, broken: bool) -> anyhow::Result<(PathBuf, String)> {
        self.versions += 1;
        let whole = self.component.len();
        let length = if broken { whole / 2 } else { whole };
        let mut bytes = self.component.get(..length).unwrap_or_default().to_vec();
        // A custom section, which any component may have.
        bytes.extend([0, 8, 3, b'n', b't', b'h']);
        bytes.extend(self.versions.to_be_bytes());
        let file = self.place.path().join(format!("{}.wasm", self.versions));
        fs::write(&file, &bytes).context("saving a version")?;
        Ok((file, digest(&bytes)))
    }

    fn command(&self, system: &System, action: &str) -> Command {
        let mut command = system.worker_command();
        command.args(["fleet", action, "--redis-url", &system.redis.url()]);
        command.env("PLUGIN_CACHE", self.place.path().join("cache"));
        if action == "remove" {
            command.arg(PLUGIN);
        }
        command
    }

    fn status(&self, system: &System) -> anyhow::Result<Value> {
        let mut command = self.command(system, "status");
        // It exits with 1 while a worker is on its way.
        let output = command.arg("--json").output().context("asking for the fleet's status")?;
        serde_json::from_slice(&output.stdout).context("reading the fleet's status")
    }

    /// What the workers have published must be whole versions that were pushed.
    fn check_published(&self, system: &System) -> Vec<String> {
        let known: BTreeSet<&str> =
            self.good.iter().filter_map(|digest| digest.get(..SHOWN)).collect();
        let mark = format!("plugin published plugin=\"{PLUGIN}\"");
        let published = system.worker_logs();
        let digests = published
            .lines()
            .filter(|line| line.contains(&mark))
            .filter_map(|line| line.split_once("digest=\"")?.1.get(..SHOWN));
        let foreign: BTreeSet<&str> = digests.filter(|digest| !known.contains(digest)).collect();
        foreign
            .into_iter()
            .map(|digest| format!("pushes: a worker published {digest}, which was never pushed"))
            .collect()
    }
}

/// Each stored component must be what its name says.
fn check_stored(caches: &[PathBuf]) -> Vec<String> {
    let mut broken = Vec::new();
    for cache in caches {
        let entries = fs::read_dir(cache.join("fleet/artefacts")).into_iter().flatten();
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // A temporary file of a worker that was killed.
            if name.starts_with('.') {
                continue;
            }
            if fs::read(&path).is_ok_and(|bytes| digest(&bytes) != name) {
                broken.push(format!("pushes: {} has another digest", path.display()));
            }
        }
    }
    broken
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether each of the workers runs this version.
fn runs_everywhere(status: &Value, digest: &str) -> bool {
    let plugins = status.get("plugins").and_then(Value::as_array);
    let entry = plugins.into_iter().flatten().find(|entry| {
        entry.get("name").and_then(Value::as_str) == Some(PLUGIN)
            && entry.pointer("/record/digest").and_then(Value::as_str) == Some(digest)
    });
    let workers = entry.and_then(|entry| entry.get("workers")?.as_array());
    let runs = |worker: &&Value| worker.get("runs_it").and_then(Value::as_bool) == Some(true);
    // The report of a worker that was killed may be there for some seconds.
    workers.is_some_and(|workers| workers.iter().filter(runs).count() >= WORKERS)
}

/// Whether no worker runs the plugin.
fn is_gone(status: &Value) -> bool {
    let plugins = status.get("plugins").and_then(Value::as_array);
    plugins.is_some_and(Vec::is_empty)
        && status.get("converged").and_then(Value::as_bool) == Some(true)
}
