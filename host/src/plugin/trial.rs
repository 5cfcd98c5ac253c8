//! The trial of a candidate: one task of its settings, run as a worker runs any.

use std::sync::Arc;
use std::time::Duration;

use queue::{Lease, Task};
use tokio_util::sync::CancellationToken;

use super::load::Loader;
use crate::error::LoadError;
use crate::plugin_config::Trial;
use crate::runner;
use crate::version::PluginVersion;

/// The plugin's own wall limit is shorter, or the server's ceiling of it.
const TIME_TO_LIVE: Duration = Duration::from_secs(120);

/// Runs the trial that the settings name; without one every candidate passes.
pub(crate) async fn run(loader: &Loader, version: &Arc<PluginVersion>) -> Result<(), LoadError> {
    let Some(Trial { task_type, params }) = version.swap.trial.clone() else { return Ok(()) };
    let failed = |reason: String| LoadError::Trial {
        plugin: version.name().to_owned(),
        task_type: task_type.clone(),
        reason,
    };
    if !version.task_types().any(|known| *known == task_type) {
        return Err(failed("it does not handle this type".to_owned()));
    }
    let lease = Lease::offline(Task::new(task_type.clone(), 0, params), TIME_TO_LIVE);
    let (retry, never) = (queue::config::RetryPolicy::default(), CancellationToken::new());
    let result = runner::run(loader, version, &lease, "trial", &retry, &never).await.result;
    match result.success {
        true => Ok(()),
        false => Err(failed(format!(
            "{} ({})",
            result.error.as_deref().unwrap_or_default(),
            result.code().unwrap_or_default()
        ))),
    }
}
