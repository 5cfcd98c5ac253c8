//! Traces: which work belongs together, from process to process, in log lines and in a collector.
//!
//! Every piece of work has a [`TraceContext`]: a trace id and the id of the step that caused it. It goes from process to process
//! as a `traceparent` (W3C Trace Context), and into JSON log lines by [`current()`]. That is all, unless an OTLP endpoint is set
//! ([`TraceSettings`]). Then each step is also a [`Span`], and sampled spans are sent to the collector in batches ([`export`]), away
//! from the work: a collector that is slow or gone costs spans, which are counted, and never an answer.
//!
//! Not here: what the steps of a task are. They are where the work is done.

mod context;
mod current;
pub(crate) mod export;
pub(crate) mod flags;
mod settings;
mod span;

pub use self::context::TraceContext;
pub use self::current::{Current, carry, current, parent, within};
pub use self::settings::TraceSettings;
pub use self::span::{Kind, Span};
