//! `worker plugins run`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use queue::{Task, TaskType};
use serde_json::{Map, Value};

use super::folders;
use crate::cli::flags::CacheFlag;
use crate::offline::RunReport;

/// Runs one task and prints its result. What the plugin logs goes to standard error.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
    /// The task type.
    #[arg(long)]
    task_type: TaskType,
    /// The params: a JSON object.
    #[arg(long, default_value = "{}")]
    params: String,
    /// The user who asks.
    #[arg(long, default_value_t = 0)]
    user_id: i64,
    /// Adds a grant to those of the settings: `net=https://host`, `data.NAME=FILE`, `cache`.
    #[arg(long)]
    allow: Vec<String>,
    /// Runs the task this many times, and prints how long it took.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    repeat: u16,
}

impl Run {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let params: Map<String, Value> = serde_json::from_str(&self.params)
            .context("--params takes a JSON object, for instance '{\"query\":\"luna\"}'")?;
        let host = folders::offline_host(&self.cache)?;
        let inspection = host.inspect(&self.file, &self.allow).await.map_err(anyhow::Error::msg)?;
        let load_time = inspection.load_time;
        let version = inspection.loaded?;
        let task_type = self.task_type;
        anyhow::ensure!(
            version.task_types().any(|known| *known == task_type),
            "{} does not handle `{task_type}`; it handles {}",
            self.file.display(),
            version.task_types().map(TaskType::as_str).collect::<Vec<_>>().join(", ")
        );
        let task = Task::new(task_type, self.user_id, params);
        let reports = host.run(&version, &task, usize::from(self.repeat)).await;
        let Some(first) = reports.first() else { return Ok(false) };
        writeln!(out, "{:#}", serde_json::to_value(&first.result)?)?;
        if self.repeat > 1 {
            writeln!(out, "{}", times(load_time, &reports))?;
        }
        Ok(reports.iter().all(|report| report.result.success))
    }
}

fn times(load: Duration, reports: &[RunReport]) -> String {
    let mut later: Vec<Duration> = reports.iter().skip(1).map(|report| report.duration).collect();
    later.sort_unstable();
    let at = |percent: usize| {
        let index = (later.len() * percent / 100).min(later.len().saturating_sub(1));
        later.get(index).copied().unwrap_or_default()
    };
    let first = reports.first().map(|report| report.duration).unwrap_or_default();
    let peak = reports.iter().filter_map(|report| {
        report.result.metadata.get("peak_memory_bytes").and_then(Value::as_u64)
    });
    #[expect(clippy::cast_precision_loss, reason = "bytes below 2^52")]
    let peak = peak.max().unwrap_or(0) as f64 / f64::from(1 << 20);
    format!(
        "loaded in {load:.2?}; first run {first:.2?}; then median {:.2?}, 99 % {:.2?}, of {} runs; at most {peak:.1} MiB of memory",
        at(50),
        at(99),
        later.len()
    )
}
