//! `cargo xtask bench peers`: other task queues on Redis beside ours, doing the same in the same run.
//!
//! Each repetition goes through all of them before the next begins, so that a slow minute of the machine meets everyone. For each:
//! an empty Redis, N tasks submitted while no worker runs, one worker process that runs them all, and then requests one after
//! the other on the idle queue. The job does nothing; its params are the same 104 bytes of JSON; results are stored. Ours runs
//! each task in a fresh instance of a WebAssembly component. `xtask/peers` has the peers' scripts and versions.

mod install;
mod list;
mod measure;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::driver::{self, Build};
use super::{environment, programs};
use crate::build_plugins::BuildPlugins;
use crate::paths::target_dir;
use crate::redis::{Connection, Kind, Redis};
use crate::stop::Stop;
use list::{NO_OP, Ours};
use measure::{Amounts, Bed};
use table::Row;

/// Compares with other task queues on Redis.
#[derive(Debug, clap::Args)]
pub(crate) struct Peers {
    /// Tasks of each repetition; the first 500 are not counted.
    #[arg(long, default_value_t = 20_000)]
    n: u64,
    /// Repetitions.
    #[arg(long, default_value_t = 3)]
    reps: u32,
    /// Requests whose results are waited for, of each repetition; 0 for none.
    #[arg(long, default_value_t = 2_000)]
    rpc: u64,
    /// Only those whose name begins with one of these, with commas between; for instance `ours,bullmq (50,list`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Redis keeps a log of all writes, flushed every second.
    #[arg(long)]
    aof: bool,
    /// Write all figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Peers {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        ensure!(self.n > measure::WARM_UP, "the first {} tasks are not counted", measure::WARM_UP);
        let stop = Stop::on_signals()?;
        BuildPlugins::for_tests().run(root)?;
        let folder = tempfile::tempdir().context("creating a folder for plugins")?;
        let gauge = target_dir(root).join("guests").join("gauge.wasm");
        std::fs::copy(&gauge, folder.path().join("gauge.wasm")).context("copying the gauge")?;
        let kind = Kind { keeps_log: self.aof, ..Kind::default() };
        let redis = Redis::start_as(&kind, &stop)?;
        let ours = Ours {
            worker: programs::worker(root)?,
            driver: driver::build(root, Build::Release)?,
            plugins: folder.path().to_owned(),
            url: redis.url(),
        };
        let (peers, missing) = list::all(root, &ours, &self.only);
        ensure!(!peers.is_empty(), "nobody's name begins like that");
        let mut bed =
            Bed { redis: &redis, connection: Connection::open(redis.port())?, stop: &stop };
        let environment = environment::describe(root, &mut bed.connection);
        println!("{}", environment::in_one_line(&environment));
        let amounts = Amounts { tasks: self.n, waits: self.rpc };
        let mut rows: Vec<Row> = peers.iter().map(Row::of).collect();
        for repetition in 1..=self.reps {
            println!("repetition {repetition} of {}", self.reps);
            for (peer, row) in peers.iter().zip(&mut rows) {
                match bed.run(peer, amounts) {
                    Ok(figures) => {
                        row.failures.extend(figures.wait_failed.clone());
                        row.runs.push(figures);
                        println!("  {}", row.last_run());
                    }
                    Err(error) => {
                        ensure!(!stop.requested(), "interrupted");
                        println!("  {}: {error:#}", row.name);
                        row.failures.push(format!("{error:#}"));
                    }
                }
            }
        }
        let options = json!({
            "n": self.n, "reps": self.reps, "rpc": self.rpc, "aof": self.aof, "params_bytes": 104,
            "task_type": NO_OP,
        });
        let document = table::document(&environment, &options, &rows, &missing);
        println!("\n{}", table::markdown(&document));
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&document)?;
            std::fs::write(file, text + "\n")
                .with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }
}

/// The tables in Markdown.
pub(super) fn markdown(document: &Value) -> String {
    table::markdown(document)
}
