//! What the author of a plugin must know of a run, and the person who asked must not.

use queue::{FailureCode, TaskResult};

use crate::sandbox::limits::{Breaches, settings};
use crate::version::PluginVersion;

/// One line each: the limits that the task reached, and why its answer cannot be used.
pub(super) fn of(version: &PluginVersion, result: &TaskResult, breaches: &Breaches) -> Vec<String> {
    let reached = breaches.all();
    let mut remarks: Vec<String> = reached
        .map(|limit| settings::describe(limit, &version.env.limits, version.name()))
        .collect();
    if result.failure_code() == Some(FailureCode::InvalidOutput) {
        let reason = result.error.as_deref().unwrap_or_default();
        remarks.push(format!("the answer cannot be used (invalid-output): {reason}"));
    }
    remarks
}
