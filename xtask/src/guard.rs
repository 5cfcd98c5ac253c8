//! `cargo xtask guard`: costs that do not depend on the machine's mood, compared with `xtask/guard.json`.
//!
//! Redis counts its commands and how often it reads from a connection; callgrind counts instructions. Neither changes when the
//! machine is busy, so a path that became longer shows in a test. Time is measured by `cargo xtask bench`.

mod baseline;
mod counts;
mod instructions;
mod scenarios;

use std::path::Path;

use anyhow::bail;

use crate::bench::driver::{self, Build};
use crate::command::run;
use crate::redis;
use crate::stop::Stop;
use crate::toolchain::clean_cargo;
use baseline::{Baseline, FILE, Verdict};

/// Counts what a task costs: commands, round trips, instructions. Fails when it is more than the baseline and its margin.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Guard {
    /// Take today's counts as the new baseline. Say in the commit why they changed.
    #[arg(long)]
    write_baseline: bool,
}

impl Guard {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        redis::ensure_installed()?;
        let bins = ["build", "--quiet", "--workspace", "--bins", "--locked"];
        run(clean_cargo(root).args(bins))?;
        let driver = driver::build(root, Build::Development)?;
        let stop = Stop::on_signals()?;
        let mut counts = scenarios::count(root, &driver, &stop)?;
        match instructions::count(&driver, &stop)? {
            Ok(counted) => counts.extend(counted),
            Err(why) => println!("instructions were not counted: {why}"),
        }
        if self.write_baseline {
            Baseline::write(root, &counts)?;
            println!("{FILE} has today's counts; say in the commit why they changed");
            return Ok(());
        }
        let verdict = Baseline::read(root)?.compare(&counts);
        print!("{}", verdict.table);
        Self::conclude(&verdict)
    }

    fn conclude(verdict: &Verdict) -> anyhow::Result<()> {
        for better in &verdict.better {
            println!("{better}");
        }
        if verdict.worse.is_empty() {
            return Ok(());
        }
        bail!(
            "a task costs more than before:\n  {}\nIf that is meant, take today's counts with `cargo xtask guard --write-baseline` and say in the commit why.",
            verdict.worse.join("\n  ")
        )
    }
}
