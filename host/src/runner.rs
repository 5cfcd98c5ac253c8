//! Runs one task in one fresh instance and says what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops::chain::chain;
use queue::task::now_ms;
use queue::work::retry_delay;
use queue::{FailureCode, Finish, Handled, Lease, TaskResult};
use rand::Rng;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTableError;
use wasmtime::error::Context;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use crate::bindings::schema::ParamsSchema;
use crate::bindings::{Answer, MAX_LEVELS, levels, v1};
use crate::metrics;
use crate::plugin::load::Loader;
use crate::sandbox::Sandbox;
use crate::sandbox::limits::{Breaches, Limit};
use crate::sandbox::output::Running;
use crate::version::PluginVersion;

/// Longest reason that is passed on to a person.
const MAX_REASON_CHARS: usize = 500;

/// How a run ended, before it becomes a result.
enum Outcome {
    Output { data: Value, metadata: Map<String, Value> },
    Failed { code: FailureCode, reason: String, again: Again },
    Cancelled,
}

/// Whether the same task may work later.
#[derive(Clone, Copy)]
enum Again {
    Never,
    After { at_least: Option<Duration> },
}

impl Outcome {
    fn failed(code: FailureCode, reason: impl Into<String>) -> Self {
        Self::Failed { code, reason: reason.into(), again: Again::Never }
    }

    /// The task ran into a limit here.
    fn over(breaches: &Breaches, limit: Limit, reason: impl Into<String>) -> Self {
        breaches.note(limit);
        Self::failed(limit.code(), reason)
    }
}

/// Runs `lease`'s task on `version`. Ends within 2 s of `cancelled`: the instance is dropped at its next interruption.
pub(crate) async fn run(
    loader: &Loader,
    version: &Arc<PluginVersion>,
    lease: &Lease,
    worker: &str,
    retry: &queue::config::RetryPolicy,
    cancelled: &CancellationToken,
) -> Handled {
    let started = Instant::now();
    let mut peak_memory_bytes = 0;
    let breaches = Breaches::default();
    let outcome = match check_params(version, lease, &breaches) {
        Err(outcome) => outcome,
        Ok(params) => {
            // Dropping the call drops the instance with it.
            tokio::select! {
                () = cancelled.cancelled() => Outcome::Cancelled,
                outcome = call(loader, version, lease, params, &breaches, &mut peak_memory_bytes) => outcome,
            }
        }
    };
    let (mut result, finish) = conclude(outcome, lease, retry);
    let ran = started.elapsed();
    let run_ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
    // A producer that calls the script itself may leave the time of its submit out.
    let queue_ms = match lease.task.submitted_at {
        0 => 0,
        submitted_at => now_ms().saturating_sub(submitted_at).saturating_sub(run_ms),
    };
    let facts = [
        ("plugin", Value::from(version.name())),
        ("plugin_version", Value::from(version.descriptor.version.as_str())),
        ("plugin_digest", Value::from(version.digest.as_str())),
        ("worker", Value::from(worker)),
        ("queue_ms", Value::from(queue_ms)),
        ("run_ms", Value::from(run_ms)),
        ("peak_memory_bytes", Value::from(peak_memory_bytes)),
        ("attempt", Value::from(lease.task.attempt)),
    ];
    let limits: Vec<Value> = breaches.all().map(|limit| limit.code().as_str().into()).collect();
    breaches.all().for_each(|limit| metrics::limit_reached(version.name(), limit));
    metrics::task_ended(
        version,
        lease.task.task_type.as_str(),
        result.code(),
        Duration::from_millis(queue_ms),
        ran,
    );
    result.metadata.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    if !limits.is_empty() {
        result.metadata.insert("limits".to_owned(), limits.into());
    }
    tracing::info!(
        task_id = %lease.task.task_id,
        task_type = %lease.task.task_type,
        plugin = version.name(),
        plugin_version = version.descriptor.version,
        attempt = lease.task.attempt,
        code = result.code(),
        queue_ms,
        run_ms,
        "task ended"
    );
    Handled { result, finish }
}

/// The params as the guest gets them, when they fit.
fn check_params(
    version: &PluginVersion,
    lease: &Lease,
    breaches: &Breaches,
) -> Result<String, Outcome> {
    let params = Value::Object(lease.task.params.clone());
    let json = params.to_string();
    let schema = version.schemas.get(&lease.task.task_type);
    let checkable = schema.map_or(usize::MAX, ParamsSchema::most_bytes);
    let (bytes, limit) = (json.len(), version.around.limits.input_bytes.min(checkable));
    if limit < bytes {
        let reason = format!("the params have {bytes} bytes; at most {limit} are taken");
        return Err(Outcome::over(breaches, Limit::Input, reason));
    }
    if MAX_LEVELS < levels(&params) {
        let reason = format!("the params are nested deeper than {MAX_LEVELS} levels");
        return Err(Outcome::failed(FailureCode::InvalidParams, reason));
    }
    match schema.and_then(|schema| schema.misfit(&params, bytes)) {
        Some(misfit) => Err(Outcome::failed(FailureCode::InvalidParams, misfit)),
        None => Ok(json),
    }
}

async fn call(
    loader: &Loader,
    version: &Arc<PluginVersion>,
    lease: &Lease,
    params: String,
    breaches: &Breaches,
    peak_memory_bytes: &mut usize,
) -> Outcome {
    let around = &version.around;
    let wall = around.limits.wall.min(lease.time_left());
    let running = Running {
        task_id: lease.task.task_id.clone(),
        version: Arc::clone(version),
        traceparent: lease.task.traceparent.clone(),
    };
    let mut store = Sandbox::store(loader.engine(), around, Some(running), breaches.clone());
    let handled = tokio::time::timeout(wall, handle(version, &mut store, lease, params)).await;
    *peak_memory_bytes = store.data().memory.peak;
    let dropped = store.data().output.dropped();
    if 0 < dropped {
        tracing::warn!(plugin = version.name(), task_id = %lease.task.task_id, dropped, "plugin wrote too much");
    }
    match handled {
        Err(_) => Outcome::over(breaches, Limit::Wall, over(Limit::Wall)),
        Ok(Err(error)) => trap(version, &store, lease, &error),
        Ok(Ok(Handle::NotReady(reason))) => {
            tracing::warn!(plugin = version.name(), task_id = %lease.task.task_id, error = reason, "plugin's init failed");
            Outcome::failed(FailureCode::PluginFailed, "the plugin could not be prepared")
        }
        Ok(Ok(Handle::Answer(handled))) => {
            let bytes = match &handled {
                Ok(output) => output.data.len() + output.metadata.len(),
                Err(_) => 0,
            };
            let limit = around.limits.output_bytes;
            if limit < bytes {
                let reason = format!("the answer has {bytes} bytes; at most {limit} are taken");
                return Outcome::over(breaches, Limit::Output, reason);
            }
            match answered(v1::answer(handled)) {
                // It gave up because the host said no: that is what has to be mended.
                Outcome::Failed { code: FailureCode::PluginFailed, reason, .. }
                    if let Some(limit) = refused(breaches) =>
                {
                    Outcome::failed(limit.code(), reason)
                }
                outcome => outcome,
            }
        }
    }
}

/// The limit at which the host told the guest no, when there is one.
fn refused(breaches: &Breaches) -> Option<Limit> {
    breaches.all().find(|limit| {
        matches!(
            limit,
            Limit::Memory
                | Limit::Requests
                | Limit::RequestBody
                | Limit::ResponseBody
                | Limit::Cache
        )
    })
}

enum Handle {
    NotReady(String),
    Answer(Result<v1::Output, v1::Failure>),
}

/// What goes wrong before the guest runs may be the host's fault; what goes wrong later is the guest's, an answer that
/// cannot be read included.
#[derive(Debug, thiserror::Error)]
#[error("no instance was made")]
struct NotMade;

async fn handle(
    version: &PluginVersion,
    store: &mut Store<Sandbox>,
    lease: &Lease,
    params: String,
) -> wasmtime::Result<Handle> {
    let instance = version.component.instantiate_async(&mut *store).await.context(NotMade)?;
    if !version.initialised
        && let Err(reason) = instance.call_init(&mut *store).await?
    {
        return Ok(Handle::NotReady(reason));
    }
    let task = v1::Task {
        id: lease.task.task_id.as_str().to_owned(),
        task_type: lease.task.task_type.as_str().to_owned(),
        user_id: lease.task.user_id,
        params,
        attempt: lease.task.attempt,
        time_left_ms: u64::try_from(lease.time_left().as_millis()).unwrap_or(u64::MAX),
        seed: rand::rng().random(),
        traceparent: lease.task.traceparent.clone(),
    };
    Ok(Handle::Answer(instance.call_handle(&mut *store, &task).await?))
}

fn answered(answer: Answer) -> Outcome {
    match answer {
        Answer::Output { data, metadata } => Outcome::Output { data, metadata },
        Answer::Invalid(reason) => Outcome::failed(FailureCode::InvalidParams, reason),
        Answer::NotFound(reason) => Outcome::failed(FailureCode::NotFound, reason),
        Answer::Fatal(reason) => Outcome::failed(FailureCode::PluginFailed, reason),
        Answer::Unreadable(reason) => Outcome::failed(FailureCode::InvalidOutput, reason),
        Answer::Retry { reason, after } => Outcome::Failed {
            code: FailureCode::RetriesExhausted,
            reason,
            again: Again::After { at_least: after },
        },
    }
}

/// Names a trap by what caused it. The person gets a plain sentence; the log gets the guest's last words and where it
/// was.
fn trap(
    version: &PluginVersion,
    store: &Store<Sandbox>,
    lease: &Lease,
    error: &wasmtime::Error,
) -> Outcome {
    let sandbox = store.data();
    if let Some(limit) = breach(error) {
        sandbox.breaches.note(limit);
    }
    let first = sandbox.breaches.all().find(|limit| *limit != Limit::Log);
    let (code, reason) = if let Some(limit) = first {
        (limit.code(), over(limit))
    } else if error.downcast_ref::<I32Exit>().is_some() {
        (FailureCode::Exited, "the plugin ended itself instead of answering")
    } else if error.downcast_ref::<Trap>().is_some() || !error.is::<NotMade>() {
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
        error = %chain(error.as_ref()),
        "plugin trapped"
    );
    // A full pool is ours, not the plugin's: the task may run a moment later.
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Outcome::Failed {
            code: FailureCode::HostError,
            reason: reason.to_owned(),
            again: Again::After { at_least: None },
        };
    }
    Outcome::failed(code, reason)
}

/// The limit that a trap is about; the others are noted where they are reached.
fn breach(error: &wasmtime::Error) -> Option<Limit> {
    if error.downcast_ref::<Trap>() == Some(&Trap::StackOverflow) {
        return Some(Limit::Stack);
    }
    if matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full)) {
        return Some(Limit::Handles);
    }
    // The engine has no public types for these.
    let says = |text: &str| error.chain().any(|cause| cause.to_string().contains(text));
    if says("store handle limit exceeded") {
        return Some(Limit::Handles);
    }
    says("fuel allocated for hostcalls has been exhausted").then_some(Limit::HostCall)
}

fn over(limit: Limit) -> &'static str {
    match limit {
        Limit::Wall => "the plugin took too long",
        Limit::Cpu => "the plugin used up its processor time",
        Limit::Memory => "the plugin needed more memory than it may use",
        Limit::Table => "the plugin needed a larger table than it may use",
        Limit::Stack => "the plugin's calls went too deep",
        Limit::Handles => "the plugin holds more than it may at once",
        Limit::HostCall => "the plugin handed over more than it may in one call",
        Limit::Input => "the question is larger than the plugin may take",
        Limit::Output => "the answer is larger than the plugin may give",
        Limit::Log => "the plugin wrote more than it may",
        Limit::Requests => "the plugin sent more requests than it may",
        Limit::RequestBody => "the plugin's request is larger than it may be",
        Limit::ResponseBody => "a response is larger than the plugin may take",
        Limit::Cache => "the plugin used up its share of the cache",
    }
}

/// From an outcome to what is stored and how the lease ends.
fn conclude(
    outcome: Outcome,
    lease: &Lease,
    policy: &queue::config::RetryPolicy,
) -> (TaskResult, Finish) {
    match outcome {
        Outcome::Output { data, metadata } => {
            let mut result = TaskResult::success(data);
            result.metadata = metadata;
            (result, Finish::Done)
        }
        Outcome::Cancelled => {
            (TaskResult::failure(FailureCode::Cancelled, "cancelled"), Finish::Cancelled)
        }
        Outcome::Failed { code, reason, again } => {
            let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
            let mut result = TaskResult::failure(code, reason);
            let (retryable, delay) = match again {
                Again::Never => (false, None),
                Again::After { at_least } => {
                    let jitter = rand::rng().random_range(0..=25);
                    (true, retry_delay(policy, lease.failures + 1, at_least, jitter))
                }
            };
            result.metadata.insert("retryable".to_owned(), retryable.into());
            (result, delay.map_or(Finish::Failed, Finish::RetryAfter))
        }
    }
}
