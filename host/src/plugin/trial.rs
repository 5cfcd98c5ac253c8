//! The trial of a candidate: it must complete one task from its settings, run as a worker runs any task.

use std::sync::Arc;
use std::time::Duration;

use queue::{Finish, Lease, Task};
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;

use crate::error::LoadError;
use crate::plugin_config::Trial;
use crate::runner;
use crate::version::PluginVersion;

/// As long as a task from a chat may take. The plugin's own limit is shorter.
const TIME_TO_LIVE: Duration = Duration::from_secs(120);

/// Runs the trial that the settings ask for. Without one every candidate passes.
pub(super) async fn run(engine: &Engine, version: &Arc<PluginVersion>) -> Result<(), LoadError> {
    let Some(Trial { task_type, params }) = version.swap.trial.clone() else { return Ok(()) };
    let failed = |reason: String| LoadError::Trial {
        plugin: version.name().to_owned(),
        task_type: task_type.clone(),
        reason,
    };
    if !version.task_types().any(|known| *known == task_type) {
        let own = version.type_names();
        let reason = format!("it does not handle this type; it handles {own}");
        return Err(failed(reason));
    }
    let lease = Lease::offline(Task::new(task_type.clone(), 0, params), TIME_TO_LIVE);
    let retry = queue::config::RetryPolicy::default();
    let never = CancellationToken::new();
    let ran = runner::run(engine, version, &lease, "trial", &retry, &never).await;
    let result = ran.handled.result;
    if result.success {
        return Ok(());
    }
    let error = result.error.as_deref().unwrap_or_default();
    let code = match ran.handled.finish {
        Finish::RetryAfter(_) => "it asked to be tried again",
        _ => result.code().unwrap_or_default(),
    };
    let mut reason = format!("{error} ({code})");
    for remark in ran.remarks {
        reason.push_str(&format!("; {remark}"));
    }
    Err(failed(reason))
}
