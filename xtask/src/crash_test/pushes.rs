//! Pushes of two plugins to the fleet while everything around them is killed, frozen and cut off.
//!
//! The pushed plugins are others than those that answer the questions, so that a fault of a push shows by itself. Good versions
//! differ in a section without a purpose; broken ones are half a component; some pushes are taken back, and one of the plugins is
//! removed at times. During half of the commands a worker or Redis is killed as well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::faults::FaultInjector;
use super::pushed::{Pushed, Wanted, damaged, told};
use super::random::Random;
use super::system::System;
use crate::paths::target_dir;
use crate::service::Service;
use crate::stop::Stop;

/// Between two commands.
const PAUSE_MS: (u64, u64) = (500, 2_500);
/// When something is killed, from a command's start: while it runs, or while the workers follow.
const KILL_AFTER_MS: (u64, u64) = (0, 3_000);
/// A command that takes longer is killed, as a person would.
const COMMAND_BOUND: Duration = Duration::from_secs(20);
/// For the workers to follow when the faults are over.
const SETTLE_BOUND: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What one command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Push,
    PushBroken,
    RollBack,
    Remove,
}

/// A command that runs.
struct Running {
    action: Action,
    plugin: usize,
    service: Service,
    /// Where it writes its log; removed with it.
    _logs: TempDir,
    since: Instant,
    /// What it leaves when it goes well.
    wanted: Wanted,
}

pub(super) struct Pushes {
    random: Random,
    plugins: [Pushed; 2],
    place: TempDir,
    next_at: Instant,
    kill_at: Option<Instant>,
    running: Option<Running>,
    last_went_well: bool,
    /// What the last command that failed said.
    last_failure: String,
    counts: BTreeMap<&'static str, u32>,
}

impl Pushes {
    /// Pushes both plugins and waits until every worker runs them.
    pub(super) fn start(
        root: &Path,
        seed: u64,
        system: &System,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let target = target_dir(root);
        let mut pushes = Self {
            // Other numbers than the faults draw.
            random: Random::new(!seed),
            plugins: [
                Pushed::new("dice", &target.join("examples/dice.wasm"), false)?,
                Pushed::new("gauge", &target.join("guests/gauge.wasm"), true)?,
            ],
            place: tempfile::tempdir().context("creating a folder for pushes")?,
            next_at: Instant::now(),
            kill_at: None,
            running: None,
            last_went_well: false,
            last_failure: String::new(),
            counts: BTreeMap::new(),
        };
        for plugin in 0..pushes.plugins.len() {
            pushes.command_to_end(system, plugin, Action::Push, stop)?;
            ensure!(pushes.last_went_well, "the first push failed: {}", pushes.last_failure);
        }
        let problems = pushes.settle(system, stop)?;
        if let Some(problem) = problems.first() {
            bail!("the workers do not follow the first pushes: {problem}");
        }
        Ok(pushes)
    }

    /// Looks after the command that runs, and starts the next one when it is time.
    pub(super) fn step(
        &mut self,
        system: &mut System,
        faults: &mut FaultInjector,
    ) -> anyhow::Result<()> {
        if self.kill_at.is_some_and(|at| Instant::now() >= at) {
            self.kill_at = None;
            faults.kill_in_a_push(system, &mut self.random);
        }
        if self.is_busy() || Instant::now() < self.next_at {
            return Ok(());
        }
        let plugin = self.random.index(self.plugins.len());
        let is_removable = self.plugins.get(plugin).is_some_and(|plugin| plugin.is_removable);
        let action = match self.random.below(6) {
            0 => Action::PushBroken,
            1 => Action::RollBack,
            2 if is_removable => Action::Remove,
            _ => Action::Push,
        };
        if self.random.below(2) == 0 {
            self.kill_at = Some(Instant::now() + self.random.duration(KILL_AFTER_MS));
        }
        self.begin(system, plugin, action)
    }

    /// The faults are over. Waits until the workers are as the commands have left the fleet; then pushes once more, and removes both
    /// plugins. Returns the promises that were broken.
    pub(super) fn end(&mut self, system: &System, stop: &Stop) -> anyhow::Result<Vec<String>> {
        self.wait_for_command(stop)?;
        let mut broken = self.settle(system, stop)?;
        let caches = system.caches();
        let logs = system.worker_logs();
        broken.extend(self.plugins.iter().flat_map(|plugin| plugin.foreign(&logs, &caches)));
        broken.extend(damaged(&caches));
        for action in [Action::Push, Action::Remove] {
            for plugin in 0..self.plugins.len() {
                self.command_to_end(system, plugin, action, stop)?;
                if !self.last_went_well {
                    let failure = &self.last_failure;
                    broken.push(format!("pushes: {action:?} fails after the faults: {failure}"));
                }
            }
            broken.extend(self.settle(system, stop)?);
        }
        Ok(broken)
    }

    pub(super) fn report(&self) {
        let counts: Vec<String> =
            self.counts.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        println!("pushes: {}", counts.join(", "));
    }

    /// Waits until the workers are as the commands have left the fleet. Returns what is not.
    fn settle(&self, system: &System, stop: &Stop) -> anyhow::Result<Vec<String>> {
        let deadline = Instant::now() + SETTLE_BOUND;
        let caches = system.caches();
        // A replica that takes over may lack the last changes. Workers put back what they have read.
        let may_be_older = system.redis.is_cluster();
        loop {
            ensure!(!stop.requested(), "interrupted");
            let problems = match self.status(system) {
                Ok(status) => self.unsettled(&status, &caches, may_be_older),
                Err(error) => vec![format!("pushes: {error:#}")],
            };
            if problems.is_empty() || Instant::now() > deadline {
                return Ok(problems);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn unsettled(&self, status: &Value, caches: &[PathBuf], may_be_older: bool) -> Vec<String> {
        let plugins = self.plugins.iter();
        let problems = plugins.filter_map(|plugin| plugin.unsettled(status, caches, may_be_older));
        problems.map(|problem| format!("pushes: {problem}")).collect()
    }

    fn command_to_end(
        &mut self,
        system: &System,
        plugin: usize,
        action: Action,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        self.begin(system, plugin, action)?;
        self.wait_for_command(stop)
    }

    fn wait_for_command(&mut self, stop: &Stop) -> anyhow::Result<()> {
        while self.is_busy() {
            ensure!(!stop.requested(), "interrupted");
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
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
            (Action::Remove, true) => "removed",
            (Action::Remove, false) => "removal refused or failed",
        };
        *self.counts.entry(what).or_default() += 1;
        self.next_at = Instant::now() + self.random.duration(PAUSE_MS);
        self.last_went_well = well;
        if well {
            let left = match running.action {
                Action::RollBack => told(&running.service.output()),
                Action::Push | Action::PushBroken | Action::Remove => None,
            };
            if let Some(plugin) = self.plugins.get_mut(running.plugin) {
                plugin.done(left.unwrap_or_else(|| running.wanted.clone()));
            }
        } else {
            self.last_failure = running.service.tail();
        }
        self.running = None;
        false
    }

    fn begin(&mut self, system: &System, plugin: usize, action: Action) -> anyhow::Result<()> {
        let logs = tempfile::tempdir().context("creating a folder for a log")?;
        let cache = self.place.path().join("cache");
        let pushed = self.plugins.get_mut(plugin).context("there is no such plugin")?;
        let (mut command, wanted) = match action {
            Action::RollBack => (fleet_command(system, &cache, "rollback"), Wanted::Earlier),
            Action::Remove => (fleet_command(system, &cache, "remove"), Wanted::Removed),
            Action::Push | Action::PushBroken => {
                let broken = action == Action::PushBroken;
                let (file, wanted) = pushed.save(self.place.path(), broken)?;
                let mut command = fleet_command(system, &cache, "push");
                command.arg("--name").arg(pushed.name).arg(file);
                if broken {
                    command.arg("--unchecked");
                }
                (command, wanted)
            }
        };
        if matches!(action, Action::RollBack | Action::Remove) {
            command.arg(pushed.name);
        }
        let service = Service::start("push", &mut command, logs.path())?;
        pushed.begin(wanted.clone());
        let since = Instant::now();
        self.running = Some(Running { action, plugin, service, _logs: logs, since, wanted });
        Ok(())
    }

    fn status(&self, system: &System) -> anyhow::Result<Value> {
        let cache = self.place.path().join("cache");
        // It exits with 1 while a worker is on its way.
        let output = fleet_command(system, &cache, "status").arg("--json").output();
        let output = output.context("asking for the fleet's status")?;
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("reading the fleet's status: {said}"))
    }
}

fn fleet_command(system: &System, cache: &Path, action: &str) -> Command {
    let mut command = system.worker_command();
    command.args(["fleet", action, "--redis-url", &system.redis.url()]);
    command.env("PLUGIN_CACHE", cache);
    command
}
