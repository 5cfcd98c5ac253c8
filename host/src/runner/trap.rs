//! Finds the cause of a trap.

use std::error::Error;

use ops::chain::chain;
use queue::{FailureCode, Lease};
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap, WasmCoreDump};
use wasmtime_wasi::I32Exit;

use super::outcome::{Outcome, Retry, limit_reason};
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Limit;
use crate::version::PluginVersion;

/// Context of errors while the instance is made. They may be the host's fault; later ones are the guest's, including an
/// answer that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("no instance was made")]
pub(super) struct NotInstantiated;

/// Names the cause of a trap. The person gets a plain sentence; the log gets the error and the guest's last lines.
pub(super) fn outcome(
    version: &PluginVersion,
    store: &Store<Sandbox>,
    lease: &Lease,
    error: &wasmtime::Error,
) -> Outcome {
    let sandbox = store.data();
    if let Some(limit) = limit_of(error) {
        sandbox.breaches.note(limit);
    }
    let first = sandbox.breaches.all().find(|limit| *limit != Limit::Log);
    let (code, reason) = if let Some(limit) = first {
        (limit.code(), limit_reason(limit))
    } else if error.downcast_ref::<I32Exit>().is_some() {
        (FailureCode::Exited, "the plugin ended itself instead of answering")
    } else if error.downcast_ref::<Trap>().is_some() || !error.is::<NotInstantiated>() {
        (FailureCode::Trap, "the plugin crashed")
    } else {
        (FailureCode::HostError, "the plugin could not be run")
    };
    tracing::warn!(
        plugin = version.name(),
        plugin_version = version.descriptor.version,
        task_id = %lease.task.task_id,
        code = code.as_str(),
        said = sandbox.output.tail(),
        error = %chain(without_core_dump(error)),
        "plugin trapped"
    );
    // A full pool is the host's fault: the task may succeed a moment later.
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Outcome::Failed {
            code: FailureCode::HostError,
            reason: reason.to_owned(),
            retry: Retry::After { at_least: None },
        };
    }
    Outcome::failed(code, reason)
}

/// The error without a core dump, which lists all globals. The backtrace comes after it.
fn without_core_dump(error: &wasmtime::Error) -> &(dyn Error + 'static) {
    let whole: &(dyn Error + 'static) = error.as_ref();
    if error.is::<WasmCoreDump>() { whole.source().unwrap_or(whole) } else { whole }
}

/// The limit that an error is about. Other limits are noted where they are reached.
fn limit_of(error: &wasmtime::Error) -> Option<Limit> {
    if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
        return Some(Limit::Stack);
    }
    if matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full)) {
        return Some(Limit::Handles);
    }
    // The engine has no public types for these.
    let contains = |text: &str| error.chain().any(|cause| cause.to_string().contains(text));
    if contains("store handle limit exceeded") {
        return Some(Limit::Handles);
    }
    contains("fuel allocated for hostcalls has been exhausted").then_some(Limit::HostCall)
}
