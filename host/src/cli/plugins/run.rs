//! `worker plugins run`.

mod diagnosis;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chat_commands::view::{TaskRequest, View};
use ops::flags::RedisFlags;
use queue::{Finish, Task, TaskType};
use serde_json::{Map, Value};

use self::diagnosis::DiagnosisFlags;
use super::{dead, folders};
use crate::cli::flags::CacheFlag;
use crate::cli::view_text::view_text;
use crate::offline::RunReport;
use crate::replay::case::{Case, Expect};
use crate::replay::world::World;
use crate::runner::RETRIED;
use crate::version::PluginVersion;

/// Runs one task and prints its result. What the plugin logs goes to standard error, and so does what its author must know.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
    /// The task type. Not needed when the plugin handles only one.
    #[arg(long)]
    task_type: Option<TaskType>,
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
    /// Prints the answer as a chat shows it, as text, instead of the result.
    #[arg(long)]
    chat: bool,
    /// Writes the task, what the world outside answered, and the result into this file (docs/plugins/testing.md).
    #[arg(long, value_name = "FILE", conflicts_with = "repeat")]
    record: Option<PathBuf>,
    /// Runs the task of such a file, with the answers in it, without network.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["task_type", "params", "user_id", "repeat", "record", "dead"])]
    replay: Option<PathBuf>,
    /// Runs the task of a dead letter, or of one that waits, by its id in Redis. It stays there, and nobody is sent an answer.
    #[arg(long, value_name = "ID", conflicts_with_all = ["task_type", "params", "user_id"])]
    dead: Option<String>,
    #[command(flatten)]
    diagnosis: DiagnosisFlags,
    #[command(flatten)]
    redis: RedisFlags,
}

impl Run {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let world = Arc::new(World::default());
        let diagnosis = Arc::new(self.diagnosis.diagnosis());
        let host = folders::author_host(&self.cache, &self.file, &diagnosis)?;
        let host = host.with_world(Arc::clone(&world));
        let case = self.replay.as_deref().map(Case::read).transpose()?;
        let inspection = match &case {
            Some(case) => host.inspect_for_case(&self.file, case, &self.allow).await,
            None => host.inspect(&self.file, &self.allow).await,
        };
        let inspection = inspection.map_err(anyhow::Error::msg)?;
        let load_time = inspection.load_time;
        let mut told = std::io::stderr();
        let version = inspection.loaded?;
        for warning in &version.warnings {
            writeln!(told, "warning: {warning}")?;
        }
        let task = match &case {
            Some(case) => case.task(),
            None => self.task(&version).await?,
        };
        anyhow::ensure!(
            version.task_types().any(|known| *known == task.task_type),
            "{} does not handle `{}`; it handles {}",
            self.file.display(),
            task.task_type,
            version.type_names()
        );
        match &case {
            Some(case) => world.replay(case.clone()),
            None if self.record.is_some() => world.record(&task),
            None => {}
        }
        let reports = host.run(&version, &task, usize::from(self.repeat)).await?;
        let Some(first) = reports.first() else { return Ok(false) };
        for line in for_author(&version, first, &task) {
            writeln!(told, "{line}")?;
        }
        if self.chat {
            writeln!(out, "{}", shown(first))?;
        } else {
            writeln!(out, "{:#}", result(first)?)?;
        }
        if self.repeat > 1 {
            writeln!(out, "{}", times(load_time, &reports))?;
        }
        if let Some(case) = &case {
            tell_differences(case, first, &world)?;
        }
        if let Some(file) = &self.record
            && let Some(mut case) = world.case()
        {
            case.expect = Some(Expect::of(&first.result, None));
            case.data = version.digests();
            case.write(file)?;
        }
        self.diagnosis.write(&diagnosis, &mut told)?;
        Ok(reports.iter().all(|report| report.result.success))
    }

    /// The task that the flags describe.
    async fn task(&self, version: &PluginVersion) -> anyhow::Result<Task> {
        if let Some(id) = &self.dead {
            return dead::task(&self.redis, id).await;
        }
        let params: Map<String, Value> = serde_json::from_str(&self.params)
            .context("--params takes a JSON object, for instance '{\"query\":\"luna\"}'")?;
        let mut own = version.task_types();
        let task_type = match (&self.task_type, own.next(), own.next()) {
            (Some(named), ..) => named.clone(),
            (None, Some(only), None) => only.clone(),
            _ => anyhow::bail!(
                "name one of its task types with --task-type: {}",
                version.type_names()
            ),
        };
        Ok(Task::new(task_type, self.user_id, params))
    }
}

/// What a person would see.
fn shown(report: &RunReport) -> String {
    let result = &report.result;
    result
        .error
        .clone()
        .or_else(|| view_text(&result.data))
        .unwrap_or_else(|| format!("(no view; the data is {})", result.data))
}

/// Tells on standard error how a run differs from its recording.
fn tell_differences(case: &Case, report: &RunReport, world: &World) -> std::io::Result<()> {
    let mut told = std::io::stderr();
    for request in world.unanswered() {
        writeln!(told, "the recording has no answer to {request}")?;
    }
    let seen = Expect::of(&report.result, report.log.as_deref());
    let differences = case.expect.as_ref().map(|expected| expected.differences(&seen));
    match differences.as_deref() {
        None => Ok(()),
        Some([]) => writeln!(told, "as recorded"),
        Some(differences) => {
            writeln!(told, "other than recorded:")?;
            differences.iter().try_for_each(|one| writeln!(told, "  {}", one.replace('\n', "\n  ")))
        }
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
        return Some(format!(
            "this plugin does not handle `{task_type}`, and nobody answers unless another plugin does; it handles {}",
            version.type_names()
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
