//! The place of a piece of work in a trace, and its text form.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use rand::Rng;

/// A trace id, and the id of one step in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    is_sampled: bool,
    /// Whether it came from another process.
    is_remote: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. None when it is not one: what follows must not be trusted to be an id then.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let version: u8 = hex(fields.next()?, 2)?.try_into().ok()?;
        let trace_id = hex(fields.next()?, 32)?;
        let span_id: u64 = hex(fields.next()?, 16)?.try_into().ok()?;
        let flags: u8 = hex(fields.next()?, 2)?.try_into().ok()?;
        // Later versions may have more fields; 255 is no version.
        let has_more = fields.next().is_some();
        if version == u8::MAX || (version == 0 && has_more) || trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self {
            trace_id: TraceId::from(trace_id),
            span_id: SpanId::from(span_id),
            is_sampled: flags & 1 == 1,
            is_remote: true,
        })
    }

    /// The beginning of a trace that no collector gets: its ids only join log lines.
    pub fn unsampled_root() -> Self {
        let mut random = rand::rng();
        Self {
            trace_id: TraceId::from(random.random_range(1..=u128::MAX)),
            span_id: SpanId::from(random.random_range(1..=u64::MAX)),
            is_sampled: false,
            is_remote: false,
        }
    }

    pub(super) fn of(span: &SpanContext) -> Self {
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            is_sampled: span.is_sampled(),
            is_remote: span.is_remote(),
        }
    }

    pub(super) fn to_span_context(self) -> SpanContext {
        let flags = if self.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(self.trace_id, self.span_id, flags, self.is_remote, TraceState::default())
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.trace_id.to_string()
    }

    /// The text form, for an envelope or a header.
    pub fn traceparent(&self) -> String {
        let flags = u8::from(self.is_sampled);
        format!("00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// Exactly `digits` lower-case hexadecimal digits; the standard knows no others.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == digits && text.bytes().all(is_digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_read_and_written_as_it_was() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
            let context = TraceContext::parse(&text).unwrap();
            assert_eq!(context.traceparent(), text);
            assert_eq!(context.trace_id(), TRACE);
            assert_eq!(TraceContext::of(&context.to_span_context()), context);
        }
        let later = format!("cc-{TRACE}-00f067aa0ba902b7-03-what-comes");
        let read = TraceContext::parse(&later).unwrap().traceparent();
        assert_eq!(read, format!("00-{TRACE}-00f067aa0ba902b7-01"));
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for bad in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-1"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01 "),
            format!("00-+{}-00f067aa0ba902b7-01", TRACE.replacen('4', "", 1)),
            format!("00-{TRACE}\u{e9}-00f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceContext::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn two_roots_are_two_traces() {
        let first = TraceContext::unsampled_root();
        let second = TraceContext::unsampled_root();
        assert_ne!(first.trace_id(), second.trace_id());
        assert!(TraceContext::parse(&first.traceparent()).is_some());
    }
}
