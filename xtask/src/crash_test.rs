//! `cargo xtask crash-test`: the whole product under a load, while processes are killed and frozen, Redis restarts and
//! Telegram has bad days. At the end everyone must have been answered, and nobody twice.
//!
//! What happens is drawn from a seed, so a failing run can be played again (not to the microsecond: the processes'
//! own timing is theirs). The people and their books are in [`load`], the trouble in [`faults`].

mod fault_log;
mod faults;
mod load;
mod memory;
mod random;
mod servers;
mod system;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;

use crate::build_plugins::BuildPlugins;
use crate::command::run;
use crate::stop::Stop;
use crate::toolchain;
use faults::FaultInjector;
use load::Load;
use memory::MemoryWatch;
use system::{COORDINATORS, System, WORKERS};

const TURN: Duration = Duration::from_millis(50);
/// When the trouble is over, everything is answered within the time a task may live, and a little.
const SETTLE_BOUND: Duration = Duration::from_secs(150);
/// Before and after an outage.
const AROUND_OUTAGE: Duration = Duration::from_secs(10);
/// What the outage takes away: the one Redis, or the node with this key.
const OUTAGE_OF: &str = "freefans:tasks:queue:{search_creator}";

/// Kills, freezes and disturbs everything at random, and checks that everyone is answered once.
#[derive(Debug, clap::Args)]
pub(crate) struct CrashTest {
    /// Draws the same trouble again; a new one each time when none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// How long the trouble lasts.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// On a Cluster of three masters with a replica each, whose nodes die, freeze and fail over.
    #[arg(long)]
    cluster: bool,
    /// No trouble but one: Redis is killed under load and stays away for so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with = "minutes")]
    outage: Option<u64>,
}

impl CrashTest {
    /// A short run that is always the same.
    pub(crate) fn short() -> Self {
        Self { seed: Some(1), minutes: 0.5, cluster: false, outage: None }
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        ensure!(self.minutes > 0.0 && self.minutes <= 600.0, "--minutes takes 0 to 600");
        let seed = self.seed.unwrap_or_else(seed_from_clock);
        let place = if self.cluster { "a Cluster" } else { "one Redis" };
        match self.outage {
            None => println!("seed {seed}, {} min of trouble on {place}", self.minutes),
            Some(seconds) => println!("{place} is away for {seconds} s"),
        }
        BuildPlugins::for_tests().run(root)?;
        let mut cargo = toolchain::clean_cargo(root);
        run(cargo.args(["build", "--locked", "--workspace", "--bins"]))?;
        let stop = Stop::on_signals()?;
        let mut system = System::start(root, self.cluster, &stop)?;
        let mut load = Load::new(&system.simulator)?;
        let mut faults = FaultInjector::new(seed);
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
                    load.turn(system)?;
                    memory.turn(system);
                    std::thread::sleep(TURN);
                }
                Ok(())
            };
            ask_for(&system, AROUND_OUTAGE)?;
            faults.take_redis_away(&mut system, OUTAGE_OF, false);
            ask_for(&system, Duration::from_secs(seconds))?;
            faults.give_redis_back(&mut system);
            ask_for(&system, AROUND_OUTAGE)?;
        } else {
            let until = Instant::now() + lasts;
            while Instant::now() < until {
                ensure!(!stop.requested(), "interrupted");
                faults.turn(&mut system)?;
                load.turn(&system)?;
                memory.turn(&system);
                std::thread::sleep(TURN);
            }
            faults.end(&mut system)?;
        }
        println!("the trouble is over; waiting for the last answers");
        let until = Instant::now() + SETTLE_BOUND;
        while load.waiting() && Instant::now() < until {
            ensure!(!stop.requested(), "interrupted");
            load.look()?;
            load.look_at_results(&system);
            load.push_again(&system);
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut broken = load.report(&faults.log);
        faults.report();
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
            "{} promises were broken:\n  {list}\nplay it again with --seed {seed} --minutes {}{}; the logs are in {logs}",
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
