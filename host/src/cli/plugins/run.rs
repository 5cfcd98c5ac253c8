//! `worker plugins run`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use chat_commands::view::{TaskRequest, View};
use queue::{Finish, Task, TaskType};
use serde_json::{Map, Value};

use super::folders;
use crate::cli::flags::CacheFlag;
use crate::offline::RunReport;
use crate::runner::RETRIED;
use crate::version::PluginVersion;

/// Runs one task and prints its result. What the plugin logs goes to standard error, and so does what its author must know.
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
        let mut told = std::io::stderr();
        let version = inspection.loaded?;
        for warning in &version.warnings {
            writeln!(told, "warning: {warning}")?;
        }
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
        for line in for_author(&version, first, &task) {
            writeln!(told, "{line}")?;
        }
        writeln!(out, "{:#}", result(first)?)?;
        if self.repeat > 1 {
            writeln!(out, "{}", times(load_time, &reports))?;
        }
        Ok(reports.iter().all(|report| report.result.success))
    }
}

/// The result as JSON. A task that asked to be tried again has not failed yet.
fn result(report: &RunReport) -> anyhow::Result<Value> {
    let mut result = report.result.clone();
    if let Finish::RetryAfter(_) = report.finish {
        result.metadata.insert("code".to_owned(), RETRIED.into());
    }
    Ok(serde_json::to_value(result)?)
}

/// What nobody in the chat is told, one line each.
fn for_author(version: &PluginVersion, report: &RunReport, task: &Task) -> Vec<String> {
    let mut lines = report.remarks.clone();
    if let Finish::RetryAfter(_) = report.finish {
        let reason = report.result.error.as_deref().unwrap_or_default();
        lines.push(format!(
            "the plugin asked to be tried again (attempt {}): {reason}",
            task.attempt
        ));
    }
    let is_shown = |task: &Task| {
        let mut commands = version.descriptor.commands.iter();
        commands.any(|command| command.task_type == task.task_type)
    };
    if report.result.success && report.result.data.get("view").is_none() && is_shown(task) {
        lines.push(
            "warning: the answer has no `view`, so the chat says no more than that it is done; add one"
                .to_owned(),
        );
    }
    let view = View::remarks(&report.result.data, &|task| problem(version, task));
    lines.extend(view.into_iter().map(|remark| format!("warning: {remark}")));
    lines
}

/// Why a button's task would fail.
fn problem(
    version: &PluginVersion,
    TaskRequest { task_type, params }: &TaskRequest,
) -> Option<String> {
    let Some(schema) = version.schemas.get(task_type) else {
        let own: Vec<&str> = version.task_types().map(TaskType::as_str).collect();
        return Some(format!(
            "this plugin does not handle `{task_type}`, and nobody answers unless another plugin does; it handles {}",
            own.join(", ")
        ));
    };
    let params = Value::Object(params.clone());
    let misfit = schema.misfit(&params, params.to_string().len())?;
    Some(format!("its params do not fit the schema of `{task_type}`: {misfit}"))
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
