//! The steps of a task in its trace: `process` for each attempt, below it the run of the plugin, below that its requests.
//!
//! Names and facts follow OpenTelemetry's conventions for messaging and HTTP. They hold no params, no path and no query of an
//! address, and nothing that a plugin wrote.

use ops::trace::{Kind, Span, TraceContext};
use queue::{Handled, Lease};

use crate::grants::Origin;
use crate::metrics;

/// The methods of HTTP; another one is a plugin's own text.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/// An attempt at the task of `lease`, below what submitted it. What a producer sent instead of a trace is dropped, and the attempt
/// begins a trace of its own.
pub(crate) fn process(lease: &Lease, worker: &str) -> Span {
    let task = &lease.task;
    let above = task.traceparent.as_deref().and_then(|sent| {
        let read = TraceContext::parse(sent);
        if read.is_none() {
            metrics::traceparent_malformed();
            tracing::warn!(task_id = %task.task_id, "`traceparent` dropped: it is malformed");
        }
        read
    });
    let mut span =
        Span::start(Kind::Consumer, above, || format!("process {}", task.task_type).into());
    if span.is_recorded() {
        span.set("messaging.system", "redis");
        span.set("messaging.operation.name", "process");
        span.set("messaging.operation.type", "process");
        span.set("messaging.destination.name", task.task_type.as_str().to_owned());
        span.set("messaging.message.id", task.task_id.as_str().to_owned());
        span.set("messaging.client.id", worker.to_owned());
        span.set("freefans.task.attempt", i64::from(task.attempt));
    }
    span
}

/// Notes how an attempt ended.
pub(crate) fn processed(span: &mut Span, handled: &Handled) {
    if let Some(code) = handled.result.code() {
        span.fail(code);
    }
}

/// The run of a plugin's version, for the attempt that is the current step.
pub(crate) fn run(plugin: &str, version: &str) -> Span {
    let mut span =
        Span::start(Kind::Internal, ops::trace::parent(), || format!("run {plugin}").into());
    if span.is_recorded() {
        span.set("freefans.plugin.name", plugin.to_owned());
        span.set("freefans.plugin.version", version.to_owned());
    }
    span
}

/// A request of the plugin whose run is the current step.
pub(crate) fn request(method: &str, origin: &Origin) -> Span {
    let known = METHODS.iter().find(|known| **known == method);
    let mut span =
        Span::start(Kind::Client, ops::trace::parent(), || known.copied().unwrap_or("HTTP").into());
    if span.is_recorded() {
        span.set("http.request.method", known.copied().unwrap_or("_OTHER"));
        span.set("url.scheme", origin.scheme());
        span.set("server.address", origin.host().to_owned());
        span.set("server.port", i64::from(origin.port()));
    }
    span
}
