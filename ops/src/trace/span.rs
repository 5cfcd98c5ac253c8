//! One step of a trace.

use std::borrow::Cow;
use std::sync::OnceLock;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};

use super::context::TraceContext;

/// Makes spans; not set while no collector is.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Lets spans be recorded from now on. Only the first call counts.
pub(super) fn record_with(tracer: SdkTracer) {
    let _ = TRACER.set(tracer); // A program starts once.
}

/// What a step is to the other side, as OpenTelemetry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work inside this process.
    Internal,
    /// A call to another server, and its answer.
    Client,
    /// Puts a message into a queue.
    Producer,
    /// Works on a message from a queue.
    Consumer,
}

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Internal => Self::Internal,
            Kind::Client => Self::Client,
            Kind::Producer => Self::Producer,
            Kind::Consumer => Self::Consumer,
        }
    }
}

/// A step that runs until it is dropped. Without a collector, or when the trace is not sampled, nothing of it is recorded, and it
/// only names the trace.
#[derive(Debug)]
pub struct Span {
    context: TraceContext,
    recorded: Option<SdkSpan>,
}

impl Span {
    /// Starts a step below `parent`, or a new trace. `name` is called only when it may be recorded; it must be one of few, without
    /// ids or what people wrote.
    pub fn start(
        kind: Kind,
        parent: Option<TraceContext>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Self {
        Self::start_with(TRACER.get(), kind, parent, name)
    }

    fn start_with(
        tracer: Option<&SdkTracer>,
        kind: Kind,
        parent: Option<TraceContext>,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Self {
        let Some(tracer) = tracer else {
            let context = parent.unwrap_or_else(TraceContext::unsampled_root);
            return Self { context, recorded: None };
        };
        let above = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.to_span_context()),
            None => Context::new(),
        };
        let builder = SpanBuilder::from_name(name()).with_kind(kind.into());
        let span = tracer.build_with_context(builder, &above);
        let context = TraceContext::of(span.span_context());
        Self { context, recorded: span.is_recording().then_some(span) }
    }

    /// The place of this step, for what it causes.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Whether anything that is set is seen by anybody.
    pub fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// Adds a fact: a code, a name from a closed set, a number or the id of a task. Never what a person wrote.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.recorded {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Marks the step as failed, with a stable code.
    pub fn fail(&mut self, code: &str) {
        if let Some(span) = &mut self.recorded {
            span.set_attribute(KeyValue::new("error.type", code.to_owned()));
            span.set_status(Status::error(code.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

    use super::*;

    fn start(tracer: Option<&SdkTracer>, parent: Option<TraceContext>) -> Span {
        Span::start_with(tracer, Kind::Internal, parent, || "step".into())
    }

    fn tracer(sampler: Sampler) -> SdkTracer {
        SdkTracerProvider::builder().with_sampler(sampler).build().tracer("test")
    }

    #[test]
    fn without_a_collector_a_step_is_its_parent_and_the_first_one_still_has_an_id() {
        let root = start(None, None);
        assert!(!root.is_recorded());
        let child = start(None, Some(root.context()));
        assert_eq!(child.context(), root.context());
    }

    #[test]
    fn a_trace_is_recorded_as_its_first_step_was_sampled() {
        let always = tracer(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
        let never = tracer(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.0))));
        let root = start(Some(&always), None);
        let child = start(Some(&never), Some(root.context()));
        assert!(root.is_recorded() && child.is_recorded());
        assert_eq!(child.context().trace_id(), root.context().trace_id());
        assert_ne!(child.context(), root.context());
        let root = start(Some(&never), None);
        let child = start(Some(&always), Some(root.context()));
        assert!(!root.is_recorded() && !child.is_recorded());
        assert!(root.context().traceparent().ends_with("-00"));
        assert_eq!(child.context().trace_id(), root.context().trace_id());
    }
}
