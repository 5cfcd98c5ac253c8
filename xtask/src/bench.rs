//! `cargo xtask bench`: measurements, as ratios to a baseline from the same run.

mod chats;
mod search;

use std::path::Path;

use anyhow::bail;

use crate::build_plugins::BuildPlugins;
use crate::command::run;
use crate::redis;
use crate::toolchain::clean_cargo;

/// Each bench and the crate that it lies in.
const BENCHES: &[(&str, &str)] =
    &[("queue", "queue"), ("host", "host"), (search::NAME, "search"), (chats::NAME, "coordinator")];

/// Measures speed and cost, and prints them.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Run only these benches; by default all.
    names: Vec<String>,
    /// How often the host's bench swaps a plugin under load.
    #[arg(long, default_value_t = 1_000)]
    swaps: u32,
}

impl Bench {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        if let Some(unknown) =
            self.names.iter().find(|name| !BENCHES.iter().any(|(known, _)| known == name))
        {
            let known: Vec<_> = BENCHES.iter().map(|(name, _)| *name).collect();
            bail!("there is no bench `{unknown}`; there are {}", known.join(", "));
        }
        redis::ensure_installed()?;
        if self.wants("host") {
            BuildPlugins::for_tests().run(root)?;
        }
        for (name, package) in BENCHES {
            if self.wants(name) {
                match *name {
                    search::NAME => {
                        search::measure(root)?;
                        continue;
                    }
                    chats::NAME => {
                        chats::measure(root)?;
                        continue;
                    }
                    _ => {}
                }
                let mut cargo = clean_cargo(root);
                cargo.args(["bench", "--quiet", "--locked", "-p", package, "--bench", name]);
                cargo.env("BENCH_SWAPS", self.swaps.to_string());
                run(&mut cargo)?;
            }
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}
