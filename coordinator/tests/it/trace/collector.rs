//! A collector of traces: a server that takes OTLP over HTTP, and the trees of what it took.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

/// One call of a program.
struct Call {
    headers: HeaderMap,
    body: Bytes,
}

/// The server. It answers every call with one status.
pub(crate) struct Collector {
    address: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// A span as it came.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    /// Without what all programs' names begin with.
    pub(crate) service: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of a trace.
    pub(crate) parent: String,
    pub(crate) facts: Vec<(String, String)>,
    /// The code of its failure.
    pub(crate) failure: Option<String>,
    started: u64,
}

impl Collector {
    pub(crate) async fn start(status: StatusCode) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let take = async move |State(calls): State<Arc<Mutex<Vec<Call>>>>,
                               headers: HeaderMap,
                               body: Bytes| {
            calls.lock().unwrap().push(Call { headers, body });
            status
        };
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&calls));
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { address, calls }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// The values of a header, over all calls.
    pub(crate) fn header(&self, name: &str) -> BTreeSet<String> {
        let calls = self.calls.lock().unwrap();
        let value = |call: &Call| call.headers[name].to_str().unwrap().to_owned();
        calls.iter().map(value).collect()
    }

    /// Whether a text is anywhere in what came.
    pub(crate) fn has_text(&self, text: &str) -> bool {
        let calls = self.calls.lock().unwrap();
        let found = |call: &Call| call.body.windows(text.len()).any(|at| at == text.as_bytes());
        calls.iter().any(found)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let calls = self.calls.lock().unwrap();
        let requests =
            calls.iter().map(|call| ExportTraceServiceRequest::decode(call.body.clone()).unwrap());
        requests.flat_map(read).collect()
    }

    /// The spans of the trace that has all these steps, when they have all come.
    pub(crate) fn trace_with(&self, steps: &[&str]) -> Option<Vec<Span>> {
        let spans = self.spans();
        let traces: BTreeSet<&String> = spans.iter().map(|span| &span.trace).collect();
        let of = |trace: &String| -> Vec<Span> {
            spans.iter().filter(|span| span.trace == *trace).cloned().collect()
        };
        let is_whole = |spans: &Vec<Span>| {
            steps.iter().all(|step| spans.iter().any(|span| span.name == *step))
        };
        traces.into_iter().map(of).find(is_whole)
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut read = Vec::new();
    for of_resource in request.resource_spans {
        let facts = facts(&of_resource.resource.unwrap().attributes);
        let service = fact(&facts, "service.name").unwrap().trim_start_matches("freefans-");
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let status = span.status.clone().unwrap_or_default();
            read.push(Span {
                kind: span.kind(),
                service: service.to_owned(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                facts: self::facts(&span.attributes),
                failure: (status.code == 2).then_some(status.message),
                started: span.start_time_unix_nano,
                name: span.name,
            });
        }
    }
    read
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn facts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let fact = |of: &KeyValue| {
        let value = of.value.as_ref().and_then(|value| value.value.as_ref());
        (of.key.clone(), value.map(text).unwrap_or_default())
    };
    attributes.iter().map(fact).collect()
}

fn fact<'a>(facts: &'a [(String, String)], key: &str) -> Option<&'a str> {
    facts.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

impl Span {
    pub(crate) fn fact(&self, key: &str) -> Option<&str> {
        fact(&self.facts, key)
    }
}

/// A trace as text: each step below what caused it, calls of other servers after the rest. Fails unless it is one tree.
pub(crate) fn tree(spans: &[Span]) -> String {
    let roots: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "one beginning: {spans:#?}");
    let mut text = String::new();
    let mut shown = 0;
    show(spans, roots[0], 0, &mut text, &mut shown);
    assert_eq!(shown, spans.len(), "every step has its cause in the trace:\n{text}{spans:#?}");
    text
}

fn show(spans: &[Span], span: &Span, depth: usize, text: &mut String, shown: &mut usize) {
    let kind = format!("{:?}", span.kind).to_lowercase();
    let indent = "  ".repeat(depth);
    text.push_str(&format!("{indent}{} ({}, {kind})\n", span.name, span.service));
    *shown += 1;
    let mut below: Vec<&Span> = spans.iter().filter(|other| other.parent == span.id).collect();
    below.sort_by_key(|span| (span.kind == SpanKind::Client, span.started));
    for span in below {
        show(spans, span, depth + 1, text, shown);
    }
}
