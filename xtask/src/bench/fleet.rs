//! `cargo xtask bench fleet`: from a saved file to every worker of a fleet, under a load of tasks.
//!
//! Real workers with two labels, one Redis, and the real `worker fleet push`. Each good version is another one by its digest, with
//! the same behaviour, so every one of them is fetched, compiled and prepared anew. Every tenth is broken and must change nothing.

mod bed;
mod load;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::numbers::rounded;
use super::{environment, programs};
use crate::build_plugins::BuildPlugins;
use crate::redis::Connection;
use crate::stop::Stop;
use bed::{Bed, Step};
use load::Load;

/// Every so many pushes one is broken.
const BROKEN_EVERY: u32 = 10;
/// Every so many pushes are followed by a rollback.
const ROLLBACK_EVERY: u32 = 5;

/// Pushes versions of `search` to workers under load, and measures how long it takes until all of them run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Fleet {
    /// Workers on this machine. Half of them have one label, half another.
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Pushes.
    #[arg(long, default_value_t = 200)]
    pushes: u32,
    /// Tasks a second meanwhile.
    #[arg(long, default_value_t = 50)]
    tasks_per_s: u32,
    /// Build as the tests are built. Quicker to start, and slower.
    #[arg(long)]
    development: bool,
    /// Measure this worker instead of building one.
    #[arg(long, value_name = "FILE", conflicts_with = "development")]
    program: Option<PathBuf>,
    /// Write all figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Times in ms.
#[derive(Debug, Default)]
struct Times {
    /// The command `push`, which checks the component and stores it.
    command: Vec<f64>,
    /// From the start of `push` until every worker runs the version.
    everywhere: Vec<f64>,
    /// From the start of the push of a broken version until every worker has refused it.
    refused: Vec<f64>,
    /// From the start of `rollback` until every worker runs the version before.
    rollback: Vec<f64>,
}

impl Fleet {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        BuildPlugins::default().run(root)?;
        let stop = Stop::on_signals()?;
        let program = match &self.program {
            Some(program) => program.clone(),
            None if self.development => programs::development_worker(root)?,
            None => programs::worker(root)?,
        };
        let mut bed = Bed::start(root, self.workers, program, &stop)?;
        let mut redis = Connection::open(bed.port())?;
        let environment = environment::describe(root, &mut redis);
        println!("{}", environment::in_one_line(&environment));
        let machine_load = environment::load();
        bed.push(0, &stop)?;
        bed.wait(Step::Running, &stop)?;
        let load = Load::start(bed.port(), self.tasks_per_s)?;
        let times = self.push_all(&mut bed, &stop)?;
        let tasks = load.end()?;
        let document = json!({
            "environment": environment,
            "load": machine_load,
            "tasks": {"answered": tasks.answered, "failed": tasks.failed, "lost": tasks.lost},
            "component_kib": bed.component_bytes() / 1024,
            "rows": [
                row("push, until every worker runs it", &times.everywhere),
                row("of this, the command `push`", &times.command),
                row("a broken version, until every worker has refused it", &times.refused),
                row("rollback, until every worker runs the version before", &times.rollback),
            ],
            "options": {
                "workers": self.workers, "pushes": self.pushes, "tasks a second": self.tasks_per_s,
                "build": if self.development { "development" } else { "release" },
            },
        });
        println!("\n{}", markdown(&document));
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&document)? + "\n";
            std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        let unanswered = tasks.failed + tasks.lost;
        ensure!(unanswered == 0, "{unanswered} tasks failed or were lost: {}", tasks.first_failure);
        Ok(())
    }

    fn push_all(&self, bed: &mut Bed, stop: &Stop) -> anyhow::Result<Times> {
        let mut times = Times::default();
        for number in 1..=self.pushes {
            let begun = Instant::now();
            if number % BROKEN_EVERY == 0 {
                bed.push_broken(number, stop)?;
                bed.wait(Step::Refused, stop)?;
                times.refused.push(ms(begun.elapsed()));
                continue;
            }
            bed.push(number, stop)?;
            times.command.push(ms(begun.elapsed()));
            bed.wait(Step::Running, stop)?;
            times.everywhere.push(ms(begun.elapsed()));
            if number % ROLLBACK_EVERY == 1 && number > 1 {
                let begun = Instant::now();
                bed.roll_back(stop)?;
                bed.wait(Step::Running, stop)?;
                times.rollback.push(ms(begun.elapsed()));
            }
            if number % 20 == 1 {
                println!("  {number} of {} pushed", self.pushes);
            }
        }
        Ok(times)
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn row(what: &str, times: &[f64]) -> Value {
    json!({
        "what": what, "times": times.len(),
        "p50": percentile(times, 50), "p95": percentile(times, 95), "most": percentile(times, 100),
    })
}

/// The smallest time that so many percent do not exceed; none of no times.
fn percentile(times: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

/// The table in Markdown.
pub(super) fn markdown(document: &Value) -> String {
    let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_f64);
    let mut text = format!(
        "A component of {} KiB.\n\n| ms | times | p50 | p95 | most |\n|---|---|---|---|---|\n",
        number(document, "component_kib").unwrap_or_default()
    );
    for row in document.get("rows").and_then(Value::as_array).into_iter().flatten() {
        let what = row.get("what").and_then(Value::as_str).unwrap_or_default();
        let figure = |name: &str| number(row, name).map_or_else(|| "–".to_owned(), rounded);
        text.push_str(&format!(
            "| {what} | {} | {} | {} | {} |\n",
            number(row, "times").unwrap_or_default(),
            figure("p50"),
            figure("p95"),
            figure("most")
        ));
    }
    let tasks = document.get("tasks").cloned().unwrap_or_default();
    let count = |name: &str| number(&tasks, name).unwrap_or_default();
    text.push_str(&format!(
        "\n{} tasks were answered meanwhile, {} failed, {} were lost.\n",
        count("answered"),
        count("failed"),
        count("lost")
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!(percentile(&times, 50), Some(10.0));
        assert_eq!(percentile(&times, 95), Some(19.0));
        assert_eq!(percentile(&times, 100), Some(20.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
