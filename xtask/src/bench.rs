//! `cargo xtask bench`: measurements, as ratios to a baseline from the same run.

mod chart;
mod chat_system;
mod chats;
mod document;
mod drained;
pub(crate) mod driver;
mod end_to_end;
mod environment;
mod figures;
mod fleet;
mod languages;
mod numbers;
mod peers;
mod program;
mod programs;
mod report;
mod scale;
mod search;
mod usage;

use std::path::Path;

use crate::build_plugins::BuildPlugins;
use crate::redis;

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
    Queue(figures::Output),
    /// The host beside raw wasmtime: a task, a search, loading, memory, swaps under load.
    Host(Host),
    /// The history of finished tasks: what it costs a task, how long a search takes, and what that does to others.
    History(figures::Output),
    /// The dashboard's pages with 1,000,000 tasks waiting and 100,000 finished.
    Dashboard(figures::Output),
    /// How well and how fast the search plugin finds names.
    SearchQuality,
    /// Hundreds of chats at once, with Telegram's limits.
    Chats,
    EndToEnd(end_to_end::EndToEnd),
    Fleet(fleet::Fleet),
    Languages(languages::Languages),
    Peers(peers::Peers),
    Scale(scale::Scale),
    Report(report::Report),
}

#[derive(Debug, clap::Args)]
struct Host {
    /// How often a plugin is swapped under load.
    #[arg(long, default_value_t = 1_000)]
    swaps: u32,
    #[command(flatten)]
    output: figures::Output,
}

impl Bench {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        redis::ensure_installed()?;
        match &self.what {
            None => {
                let queue = What::Queue(figures::Output::default());
                let host = What::Host(Host { swaps: 1_000, output: figures::Output::default() });
                for what in [queue, host, What::SearchQuality, What::Chats] {
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
            Self::Queue(output) => figures::measure(root, "queue", "queue", output, |_| {}),
            Self::Host(host) => {
                BuildPlugins::for_tests().run(root)?;
                figures::measure(root, "host", "host", &host.output, |cargo| {
                    cargo.env("BENCH_SWAPS", host.swaps.to_string());
                })
            }
            Self::History(output) => figures::measure(root, "queue", "history", output, |_| {}),
            Self::Dashboard(output) => {
                figures::measure(root, "coordinator", "dashboard", output, |_| {})
            }
            Self::SearchQuality => search::measure(root),
            Self::Chats => chats::measure(root),
            Self::EndToEnd(bench) => bench.run(root),
            Self::Fleet(bench) => bench.run(root),
            Self::Languages(bench) => bench.run(root),
            Self::Peers(peers) => peers.run(root),
            Self::Scale(scale) => scale.run(root),
            Self::Report(report) => report.run(root),
        }
    }
}
