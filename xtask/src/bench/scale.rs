//! `cargo xtask bench scale`: what a task costs with more workers, partitions, types and waiting tasks, on other servers, and
//! with a log of all writes. One thing is varied at a time; `scale/settings.rs` has the list.
//!
//! The tasks do nothing, each in a fresh instance. As in `bench peers`, a repetition goes through all settings before the next
//! begins.

mod measure;
mod servers;
mod settings;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::driver::{self, Build};
use super::numbers::{Spread, rounded};
use super::{environment, programs};
use crate::redis::{Connection, Redis};
use crate::stop::Stop;
use measure::{Figures, Programs};

/// Varies workers, partitions, types, waiting tasks, the log of writes, and the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    /// Repetitions.
    #[arg(long, default_value_t = 3)]
    reps: u32,
    /// Leave out larger backlogs; 1,000,000 waiting tasks take about 1 GB of memory.
    #[arg(long, default_value_t = 1_000_000)]
    most_waiting: u64,
    /// Only what begins with one of these, with commas between; for instance `workers,server`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Write all figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Scale {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        let mut settings = settings::all(self.most_waiting);
        settings.retain(|setting| {
            self.only.is_empty() || self.only.iter().any(|one| setting.varied.starts_with(&**one))
        });
        ensure!(!settings.is_empty(), "nothing that is varied begins like that");
        let programs = Programs {
            worker: programs::worker(root)?,
            driver: driver::build(root, Build::Release)?,
        };
        let environment = {
            let redis = Redis::start(&stop)?;
            environment::describe(root, &mut Connection::open(redis.port())?)
        };
        println!("{}", environment::in_one_line(&environment));
        let mut runs: Vec<Vec<Figures>> = settings.iter().map(|_| Vec::new()).collect();
        let mut failures: Vec<Vec<String>> = settings.iter().map(|_| Vec::new()).collect();
        for repetition in 1..=self.reps {
            println!("repetition {repetition} of {}", self.reps);
            for (setting, (runs, failures)) in
                settings.iter().zip(runs.iter_mut().zip(&mut failures))
            {
                let name = format!("{}: {}", setting.varied, setting.value);
                match measure::run(root, &programs, setting, &stop) {
                    Ok(figures) => {
                        println!(
                            "  load {:.2}  {name}: {:.0} tasks/s, worker {:.1} µs, Redis {:.1} µs, {:.2} commands, {:.3} round trips",
                            figures.load,
                            figures.tasks_per_s,
                            figures.each.worker_us,
                            figures.each.redis_us,
                            figures.each.commands,
                            figures.each.round_trips
                        );
                        runs.push(figures);
                    }
                    Err(error) => {
                        ensure!(!stop.requested(), "interrupted");
                        println!("  {name}: {error:#}");
                        failures.push(format!("{error:#}"));
                    }
                }
            }
        }
        let rows: Vec<Value> = settings
            .iter()
            .zip(runs.iter().zip(&failures))
            .map(|(setting, (runs, failures))| row(setting, runs, failures))
            .collect();
        let document =
            json!({"environment": environment, "options": {"reps": self.reps}, "rows": rows});
        println!("\n{}", markdown(&document));
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&document)? + "\n";
            std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }
}

fn row(setting: &settings::Setting, runs: &[Figures], failures: &[String]) -> Value {
    let all = |of: fn(&Figures) -> f64| -> Value { runs.iter().map(of).collect() };
    json!({
        "varied": setting.varied,
        "value": setting.value,
        "workers": setting.workers,
        "partitions": setting.partitions,
        "cluster": setting.cluster,
        "types": setting.types,
        "types_used": setting.types_used,
        "waiting": setting.waiting,
        "log": setting.log,
        "valkey": setting.valkey,
        "failures": failures,
        "load": all(|run| run.load),
        "tasks_per_s": all(|run| run.tasks_per_s),
        "worker_us": all(|run| run.each.worker_us),
        "redis_us": all(|run| run.each.redis_us),
        "commands": all(|run| run.each.commands),
        "scripts": all(|run| run.each.scripts),
        "round_trips": all(|run| run.each.round_trips),
        "bytes_per_waiting": all(|run| run.bytes_per_waiting),
    })
}

/// The table in Markdown.
pub(super) fn markdown(document: &Value) -> String {
    let mut text = String::from(
        "| varied | | tasks/s | worker µs/task | Redis µs/task | commands/task | round trips/task | bytes per waiting task |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut last = String::new();
    for row in document.get("rows").and_then(Value::as_array).into_iter().flatten() {
        let word = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let spread = |name: &str| {
            let values = row.get(name)?.as_array()?;
            Spread::of(values.iter().filter_map(Value::as_f64).collect())
        };
        let median =
            |name: &str| spread(name).map_or_else(|| "–".to_owned(), |it| rounded(it.median));
        let failed = row.get("failures").and_then(Value::as_array).into_iter().flatten().next();
        let rate = match (spread("tasks_per_s"), failed.and_then(Value::as_str)) {
            (Some(rate), _) => rate.with_range(),
            (None, Some(why)) => format!("failed: {}", why.replace(['|', '\n'], " ")),
            (None, None) => "–".to_owned(),
        };
        let varied = if last == word("varied") { "" } else { word("varied") };
        text.push_str(&format!(
            "| {varied} | {} | {rate} | {} | {} | {} | {} | {} |\n",
            word("value"),
            median("worker_us"),
            median("redis_us"),
            median("commands"),
            median("round_trips"),
            median("bytes_per_waiting"),
        ));
        word("varied").clone_into(&mut last);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_once() {
        let row = |value: &str, rates: &[f64]| json!({"varied": "workers", "value": value, "tasks_per_s": rates});
        let mut failed = row("4", &[]);
        failed["failures"] = json!(["no\nmemory"]);
        let rows = [row("1", &[100.0, 300.0, 200.0]), row("2", &[400.0]), failed];
        let text = markdown(&json!({"rows": rows}));
        assert!(text.contains("| workers | 1 | 200 (100–300) |"), "{text}");
        assert!(text.contains("|  | 2 | 400 |"), "{text}");
        assert!(text.contains("| 4 | failed: no memory |"), "{text}");
    }
}
