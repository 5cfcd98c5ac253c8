//! `cargo xtask crash-test`: the whole product under load, while processes are killed and frozen, Redis restarts and
//! Telegram returns errors. At the end every question must have exactly one answer.
//!
//! The faults are drawn from a seed, so a failing run can be repeated, apart from the processes' own timing. [`load`]
//! asks the questions and records the answers; [`faults`] injects the faults; [`pushes`] pushes plugins
//! to the workers meanwhile.

mod fault_log;
mod faults;
mod load;
mod memory;
mod pushed;
mod pushes;
mod random;
mod servers;
mod system;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;

use crate::build_plugins::BuildPlugins;
use crate::command::run;
use crate::stop::Stop;
use crate::toolchain;
use faults::FaultInjector;
use load::Load;
use memory::MemoryWatch;
use pushes::Pushes;
use system::{COORDINATORS, System, WORKERS};

const STEP: Duration = Duration::from_millis(50);
/// After the last fault everything is answered within the longest lifetime of a task, and some seconds more.
const SETTLE_BOUND: Duration = Duration::from_secs(150);
/// How long the system runs undisturbed before and after an outage.
const AROUND_OUTAGE: Duration = Duration::from_secs(10);
/// The outage stops the one Redis, or the node with this key.
const OUTAGE_OF: &str = "freefans:tasks:queue:{search_creator}";

/// Kills, freezes and disturbs everything at random, and checks that every question is answered once.
#[derive(Debug, clap::Args)]
pub(crate) struct CrashTest {
    /// Injects the same faults as an earlier run with this seed. Without it each run differs.
    #[arg(long)]
    seed: Option<u64>,
    /// For how long faults are injected.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Use a Redis Cluster of three masters with a replica each, and kill, freeze and fail over its nodes.
    #[arg(long)]
    cluster: bool,
    /// Inject a single fault: kill Redis under load and restart it after so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with = "minutes")]
    outage: Option<u64>,
    /// Folder with `worker` and `coordinator` of the release before: every other process that is started is of it, so both
    /// versions work side by side and take over from each other, in both directions.
    #[arg(long, value_name = "FOLDER")]
    previous: Option<PathBuf>,
}

impl CrashTest {
    /// A short run that is always the same.
    pub(crate) fn short() -> Self {
        Self { seed: Some(1), minutes: 0.5, cluster: false, outage: None, previous: None }
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        ensure!(self.minutes > 0.0 && self.minutes <= 600.0, "--minutes takes 0 to 600");
        let seed = self.seed.unwrap_or_else(seed_from_clock);
        let redis = if self.cluster { "a Cluster" } else { "one Redis" };
        match self.outage {
            None => println!("seed {seed}, {} min of faults on {redis}", self.minutes),
            Some(seconds) => println!("{redis} is down for {seconds} s"),
        }
        BuildPlugins::for_tests().run(root)?;
        let mut cargo = toolchain::clean_cargo(root);
        run(cargo.args(["build", "--locked", "--workspace", "--bins"]))?;
        let stop = Stop::on_signals()?;
        let mut system = System::start(root, self.cluster, self.previous.as_deref(), &stop)?;
        let mut load = Load::new(&system.simulator)?;
        let mut faults = FaultInjector::new(seed);
        let mut pushes = match self.outage {
            None => Some(Pushes::start(root, seed, &system, &stop)?),
            Some(_) => None,
        };
        let lasts = match self.outage {
            None => Duration::from_secs_f64(self.minutes * 60.0),
            Some(seconds) => Duration::from_secs(seconds) + 2 * AROUND_OUTAGE,
        };
        let mut memory = MemoryWatch::start(&system, lasts);
        if let Some(seconds) = self.outage {
            let mut ask_for = |system: &System, lasts: Duration| {
                let until = Instant::now() + lasts;
                while Instant::now() < until {
                    ensure!(!stop.requested(), "interrupted");
                    load.step(system)?;
                    memory.step(system);
                    std::thread::sleep(STEP);
                }
                Ok(())
            };
            ask_for(&system, AROUND_OUTAGE)?;
            faults.stop_redis(&mut system, OUTAGE_OF, false);
            ask_for(&system, Duration::from_secs(seconds))?;
            faults.restore_redis(&mut system);
            ask_for(&system, AROUND_OUTAGE)?;
        } else {
            let until = Instant::now() + lasts;
            while Instant::now() < until {
                ensure!(!stop.requested(), "interrupted");
                faults.step(&mut system)?;
                load.step(&system)?;
                if let Some(pushes) = &mut pushes {
                    pushes.step(&mut system, &mut faults)?;
                }
                memory.step(&system);
                std::thread::sleep(STEP);
            }
            faults.end(&mut system)?;
        }
        println!("the faults are over; waiting for the last answers");
        let until = Instant::now() + SETTLE_BOUND;
        while load.is_waiting() && Instant::now() < until {
            ensure!(!stop.requested(), "interrupted");
            load.read_chats()?;
            load.read_results(&system);
            load.push_again(&system);
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut broken = load.report(&faults.log);
        faults.report();
        if let Some(pushes) = &mut pushes {
            broken.extend(pushes.end(&system, &stop)?);
            pushes.report();
        }
        if self.previous.is_some() {
            let (all, previous) = system.started();
            println!("{all} processes started, {previous} of them of the release before");
        }
        broken.extend(system.report(until, load.losses_seen())?);
        broken.extend(memory.report(&system, load.asked()));
        if self.outage.is_some() {
            let ended = system.ended();
            println!("{ended} of {} processes ended", WORKERS + COORDINATORS);
            if ended > 0 {
                broken.push(format!("{ended} processes did not outlive the outage"));
            }
        }
        if broken.is_empty() {
            println!("\nevery promise was kept (seed {seed})");
            return Ok(());
        }
        let logs = system.keep_logs()?;
        let list = broken.join("\n  ");
        anyhow::bail!(
            "{} promises were broken:\n  {list}\nrepeat it with --seed {seed} --minutes {}{}; the logs are in {logs}",
            broken.len(),
            self.minutes,
            if self.cluster { " --cluster" } else { "" }
        )
    }
}

fn seed_from_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs() % 1_000_000
}
