//! Runs one task in a fresh instance.

mod outcome;
mod remarks;
mod trap;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops::trace::{self, Span, TraceContext};
use queue::task::now_ms;
use queue::{FailureCode, Finish, Handled, Lease};
use rand::Rng;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wasmtime::error::Context;
use wasmtime::{Engine, Store};

use self::outcome::Outcome;
use self::trap::NotInstantiated;
use crate::bindings::schema::ParamsSchema;
use crate::bindings::{MAX_LEVELS, levels, v1};
use crate::metrics;
use crate::replay::world::World;
use crate::sandbox::Sandbox;
use crate::sandbox::limits::{Breaches, Limit};
use crate::sandbox::output::TaskLabels;
use crate::spans;
use crate::version::PluginVersion;

/// The code of a task that is to be tried again, for its author and in the metrics: it has not failed yet.
pub(crate) const RETRIED: &str = "retry";

/// What an instance leaves behind.
#[derive(Debug, Default)]
struct Seen {
    peak_memory_bytes: usize,
    /// How its last request to another server ended, if that failed.
    failed_request: Option<String>,
    /// The last lines that it wrote.
    log: Option<String>,
    /// What answered it, or wrote the answers down.
    world: Option<Arc<World>>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) handled: Handled,
    /// What the plugin's author must know, one line each. No person is told.
    pub(crate) remarks: Vec<String>,
}

/// Runs the task of `lease` on `version`. Ends within 2 s of `cancelled`: the instance is dropped the next time that it
/// yields.
pub(crate) async fn run(
    engine: &Engine,
    version: &Arc<PluginVersion>,
    lease: &Lease,
    worker: &str,
    retry: &queue::config::RetryPolicy,
    cancelled: &CancellationToken,
) -> Ran {
    let started = Instant::now();
    let _running = metrics::RunningTask::begin();
    let mut seen = Seen::default();
    let breaches = Breaches::default();
    let outcome = match check_params(version, lease, &breaches) {
        Err(outcome) => outcome,
        Ok(params) => {
            // Dropping the call drops its instance.
            tokio::select! {
                () = cancelled.cancelled() => Outcome::Cancelled,
                outcome = call(engine, version, lease, params, &breaches, &mut seen) => outcome,
            }
        }
    };
    let (mut result, finish) = outcome.conclude(lease, retry);
    let ran = started.elapsed();
    let run_ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
    // A producer that calls the script itself may leave out the time of submission.
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
        ("peak_memory_bytes", Value::from(seen.peak_memory_bytes)),
        ("attempt", Value::from(lease.task.attempt)),
    ];
    let limits: Vec<Value> = breaches.all().map(|limit| limit.code().as_str().into()).collect();
    breaches.all().for_each(|limit| metrics::limit_reached(version.name(), limit));
    result.metadata.extend(facts.map(|(name, value)| (name.to_owned(), value)));
    if !limits.is_empty() {
        result.metadata.insert("limits".to_owned(), limits.into());
    }
    if let Some(failed) = seen.failed_request.filter(|_| !result.success) {
        result.metadata.insert(queue::FAILED_REQUEST.to_owned(), failed.into());
    }
    if let (Some(recordings), Some(world)) = (version.env.outside.recordings(), &seen.world) {
        recordings.keep(world, &lease.task, &result, version.digests()).await;
    }
    let remarks = remarks::of(version, &result, &breaches);
    let is_retried = matches!(finish, Finish::RetryAfter(_));
    let code = if is_retried { Some(RETRIED) } else { result.code() };
    metrics::attempt_ended(
        version.name(),
        lease.task.task_type.as_str(),
        code,
        Duration::from_millis(queue_ms),
        ran,
    );
    tracing::info!(
        task_id = %lease.task.task_id,
        task_type = %lease.task.task_type,
        plugin = version.name(),
        plugin_version = version.descriptor.version,
        attempt = lease.task.attempt,
        code,
        queue_ms,
        run_ms,
        "{}", if is_retried { "task asked to be tried again" } else { "task ended" }
    );
    Ran { handled: Handled { result, finish, log: seen.log }, remarks }
}

/// The params as JSON for the guest, when they are within the limits and fit their schema.
fn check_params(
    version: &PluginVersion,
    lease: &Lease,
    breaches: &Breaches,
) -> Result<String, Outcome> {
    let params = Value::Object(lease.task.params.clone());
    let json = params.to_string();
    let schema = version.schemas.get(&lease.task.task_type);
    let checkable = schema.map_or(usize::MAX, ParamsSchema::max_bytes);
    let bytes = json.len();
    let limit = version.env.limits.input_bytes.min(checkable);
    if bytes > limit {
        let reason = format!("the params have {bytes} bytes; at most {limit} are allowed");
        return Err(Outcome::over_limit(breaches, Limit::Input, reason));
    }
    if levels(&params) > MAX_LEVELS {
        let reason = format!("the params are nested deeper than {MAX_LEVELS} levels");
        return Err(Outcome::failed(FailureCode::InvalidParams, reason));
    }
    match schema.and_then(|schema| schema.misfit(&params, bytes)) {
        Some(misfit) => Err(Outcome::failed(FailureCode::InvalidParams, misfit)),
        None => Ok(json),
    }
}

async fn call(
    engine: &Engine,
    version: &PluginVersion,
    lease: &Lease,
    params: String,
    breaches: &Breaches,
    seen: &mut Seen,
) -> Outcome {
    let mut span = spans::run(version.name(), &version.descriptor.version);
    let current = trace::current().map(|current| current.in_step(span.context()));
    let calling = instance_call(engine, version, lease, params, breaches, seen, &span);
    let outcome = trace::within(current, calling).await;
    if let Outcome::Failed { code, .. } = &outcome {
        span.fail(code.as_str());
    }
    outcome
}

async fn instance_call(
    engine: &Engine,
    version: &PluginVersion,
    lease: &Lease,
    params: String,
    breaches: &Breaches,
    seen: &mut Seen,
    span: &Span,
) -> Outcome {
    let env = &version.env;
    let labels = TaskLabels {
        task_id: lease.task.task_id.clone(),
        plugin_version: version.descriptor.version.clone(),
        trace_id: span.context().trace_id(),
    };
    let world = env.outside.world(&lease.task);
    seen.world.clone_from(&world);
    let mut store = Sandbox::store(engine, env, Some(labels), world, breaches.clone());
    let wall = env.limits.wall.min(lease.time_left());
    let handled =
        tokio::time::timeout(wall, handle(version, &mut store, lease, params, span.context()))
            .await;
    seen.peak_memory_bytes = store.data().memory.peak;
    seen.failed_request = store.data().failed_request();
    seen.log = store.data().output.last_lines();
    let dropped = store.data().output.dropped();
    if dropped > 0 {
        tracing::warn!(plugin = version.name(), task_id = %lease.task.task_id, dropped, "plugin output truncated");
    }
    match handled {
        Err(_elapsed) => Outcome::limit_reached(breaches, Limit::Wall),
        Ok(Err(error)) => {
            if let Some(core_dump) = env.core_dump() {
                core_dump.keep(&mut store, version.name(), &error);
            }
            trap::outcome(version, &store, lease, &error)
        }
        Ok(Ok(Reply::InitFailed(reason))) => {
            tracing::warn!(plugin = version.name(), task_id = %lease.task.task_id, error = reason, "plugin `init` failed");
            Outcome::failed(FailureCode::PluginFailed, "the plugin could not be prepared")
        }
        Ok(Ok(Reply::Handled(handled))) => answered(version, handled, breaches),
    }
}

/// The outcome of what `handle` returned.
fn answered(
    version: &PluginVersion,
    handled: Result<v1::Output, v1::Failure>,
    breaches: &Breaches,
) -> Outcome {
    let bytes = match &handled {
        Ok(output) => output.data.len() + output.metadata.len(),
        Err(_) => 0,
    };
    let limit = version.env.limits.output_bytes;
    if bytes > limit {
        let reason = format!("the answer has {bytes} bytes; at most {limit} are allowed");
        return Outcome::over_limit(breaches, Limit::Output, reason);
    }
    match Outcome::of_answer(v1::answer(handled)) {
        // The plugin failed because the host refused it a call: that limit is the cause to report.
        Outcome::Failed { code: FailureCode::PluginFailed, reason, .. }
            if let Some(limit) = refusing_limit(breaches) =>
        {
            Outcome::failed(limit.code(), reason)
        }
        outcome => outcome,
    }
}

/// The first limit for which the host refused the guest a call.
fn refusing_limit(breaches: &Breaches) -> Option<Limit> {
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

/// What the guest returned.
enum Reply {
    InitFailed(String),
    Handled(Result<v1::Output, v1::Failure>),
}

async fn handle(
    version: &PluginVersion,
    store: &mut Store<Sandbox>,
    lease: &Lease,
    params: String,
    context: TraceContext,
) -> wasmtime::Result<Reply> {
    let instance =
        version.component.instantiate_async(&mut *store).await.context(NotInstantiated)?;
    if version.env.profile().is_some() {
        // Or its first function would get a sample for the time that the instance took.
        store.set_epoch_deadline(1);
    }
    if !version.has_snapshot
        && let Err(reason) = instance.call_init(&mut *store).await?
    {
        return Ok(Reply::InitFailed(reason));
    }
    let seed = store.data().world.as_ref().and_then(|world| world.seed());
    let task = v1::Task {
        id: lease.task.task_id.as_str().to_owned(),
        task_type: lease.task.task_type.as_str().to_owned(),
        user_id: lease.task.user_id,
        params,
        attempt: lease.task.attempt,
        time_left_ms: u64::try_from(lease.time_left().as_millis()).unwrap_or(u64::MAX),
        seed: seed.unwrap_or_else(|| rand::rng().random()),
        traceparent: Some(context.traceparent()),
    };
    Ok(Reply::Handled(instance.call_handle(&mut *store, &task).await?))
}
