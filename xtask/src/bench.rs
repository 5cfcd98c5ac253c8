//! `cargo xtask bench`: measurements, as ratios to a baseline from the same run.

mod chats;
pub(crate) mod driver;
mod environment;
mod numbers;
mod peers;
mod program;
mod programs;
mod search;
mod usage;

use std::path::Path;

use crate::build_plugins::BuildPlugins;
use crate::command::run;
use crate::redis;
use crate::toolchain::clean_cargo;

/// Measures speed and cost, and prints them. Without a name: `queue`, `host`, `search-quality` and `chats`.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: Option<What>,
}

/// What is measured.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// The queue beside raw commands: Redis' time per task, throughput, latency, fairness and memory.
    Queue,
    /// The host beside raw wasmtime: a task, a search, loading, memory, swaps under load.
    Host(Host),
    /// How well and how fast the search plugin finds names.
    SearchQuality,
    /// Hundreds of chats at once, with Telegram's limits.
    Chats,
    Peers(peers::Peers),
}

#[derive(Debug, clap::Args)]
struct Host {
    /// How often a plugin is swapped under load.
    #[arg(long, default_value_t = 1_000)]
    swaps: u32,
}

impl Bench {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        redis::ensure_installed()?;
        match &self.what {
            None => {
                let host = Host { swaps: 1_000 };
                for what in [What::Queue, What::Host(host), What::SearchQuality, What::Chats] {
                    what.run(root)?;
                }
                Ok(())
            }
            Some(what) => what.run(root),
        }
    }
}

impl What {
    fn run(&self, root: &Path) -> anyhow::Result<()> {
        match self {
            Self::Queue => run(&mut cargo_bench(root, "queue")),
            Self::Host(host) => {
                BuildPlugins::for_tests().run(root)?;
                run(cargo_bench(root, "host").env("BENCH_SWAPS", host.swaps.to_string()))
            }
            Self::SearchQuality => search::measure(root),
            Self::Chats => chats::measure(root),
            Self::Peers(peers) => peers.run(root),
        }
    }
}

/// The bench of a crate that is named like the crate.
fn cargo_bench(root: &Path, name: &str) -> std::process::Command {
    let mut cargo = clean_cargo(root);
    cargo.args(["bench", "--quiet", "--locked", "-p", name, "--bench", name]);
    cargo
}
