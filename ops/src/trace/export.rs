//! Sends finished spans to a collector: OTLP over HTTP, protobuf, in batches.
//!
//! A span that ends goes into a bounded queue, without waiting. One task takes batches out of it and posts them. When the
//! collector is slow or gone the queue becomes full and spans are dropped, which is counted and logged once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::settings::TraceSettings;
use super::span;
use crate::chain::chain;
use crate::process_metrics;

/// Spans that wait for the collector; the standard's default. Each takes about a kilobyte.
const QUEUE: usize = 2_048;
/// Most spans in one call; the standard's default.
const BATCH: usize = 512;
/// How long a batch is filled. Shorter than the standard's five seconds, so that a question's trace is there when somebody looks.
const FILL: Duration = Duration::from_secs(1);
/// How often a batch is sent before it is given up. Meanwhile the queue fills.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Longest answer of a collector that is read.
const ANSWER_BYTES: usize = 64 << 10;
/// How long a shutdown waits for the last spans.
const FLUSH: Duration = Duration::from_secs(2);

/// Why spans are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    QueueFull,
    Refused,
    Unreachable,
}

impl Lost {
    fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }

    fn count(self, spans: usize) {
        process_metrics::spans_dropped(self.label(), spans as u64);
    }
}

/// The running export.
#[derive(Debug)]
pub(crate) struct Export {
    running: JoinHandle<()>,
    stop: CancellationToken,
}

impl Export {
    /// Starts to record and send the spans of `program`. To be called in a runtime, once per process.
    ///
    /// # Errors
    ///
    /// When there is no HTTP client.
    pub(crate) fn start(settings: TraceSettings, program: &str) -> anyhow::Result<Self> {
        let (spans, waiting) = mpsc::channel(QUEUE);
        let resource = resource(&settings, program);
        let collector = Collector::new(&settings, &resource)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(settings.sampler)
            .with_span_processor(SpanQueue { spans, was_full: AtomicBool::new(false) })
            .build();
        span::record_with(provider.tracer("freefans"));
        let stop = CancellationToken::new();
        let running = tokio::spawn(send_until(waiting, collector, stop.clone()));
        Ok(Self { running, stop })
    }

    /// Sends what has ended by now, for at most [`FLUSH`].
    pub(crate) async fn finish(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(FLUSH, &mut self.running).await.is_err() {
            self.running.abort();
            tracing::warn!("the last spans were not sent: the collector of traces took too long");
        }
    }
}

fn resource(settings: &TraceSettings, program: &str) -> Resource {
    let attributes = settings.attributes.iter();
    let attributes = attributes.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", format!("freefans-{program}")))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        // What was set wins.
        .with_attributes(attributes)
        .build()
}

/// Takes spans as they end.
#[derive(Debug)]
struct SpanQueue {
    spans: mpsc::Sender<SpanData>,
    was_full: AtomicBool,
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            Lost::QueueFull.count(1);
            if !self.was_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    waiting = QUEUE,
                    "spans are dropped: the collector of traces does not keep up; said once, counted on /metrics"
                );
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends batches until `stop`, and then what still waits.
async fn send_until(
    mut spans: mpsc::Receiver<SpanData>,
    mut collector: Collector,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            // Nothing is lost: what is received is in the batch.
            taken = spans.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            () = stop.cancelled(), if !spans.is_closed() => spans.close(),
        }
        let full_at = Instant::now() + FILL;
        while !batch.is_empty() && batch.len() < BATCH && !spans.is_closed() {
            let room = BATCH - batch.len();
            tokio::select! {
                _ = spans.recv_many(&mut batch, room) => {}
                () = tokio::time::sleep_until(full_at) => break,
                () = stop.cancelled() => spans.close(),
            }
        }
        if !batch.is_empty() {
            collector.send(std::mem::take(&mut batch)).await;
        }
    }
}

/// The server that takes spans.
struct Collector {
    client: reqwest::Client,
    settings: TraceSettings,
    resource: ResourceAttributesWithSchema,
    /// Whether it was told that spans are lost.
    is_lossy: bool,
}

/// Why a call failed.
enum Failure {
    /// Another attempt may help.
    Passing(String),
    /// It will say the same again.
    Refusal(String),
}

impl Collector {
    fn new(settings: &TraceSettings, resource: &Resource) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            // The headers are for this server alone.
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(settings.headers.clone())
            .timeout(settings.timeout)
            .build()?;
        let resource = resource.into();
        Ok(Self { client, settings: settings.clone(), resource, is_lossy: false })
    }

    /// Sends a batch, or counts it as lost.
    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut attempt = 1;
        let (lost, why) = loop {
            match self.post(body.clone()).await {
                Ok(rejected) => {
                    let rejected = usize::try_from(rejected).unwrap_or_default().min(spans);
                    process_metrics::spans_sent((spans - rejected) as u64);
                    if rejected > 0 {
                        self.lose(Lost::Refused, rejected, "it rejected a part");
                    } else if std::mem::take(&mut self.is_lossy) {
                        tracing::info!("the collector of traces takes spans again");
                    }
                    return;
                }
                Err(Failure::Refusal(why)) => break (Lost::Refused, why),
                Err(Failure::Passing(why)) if attempt >= ATTEMPTS => {
                    break (Lost::Unreachable, why);
                }
                Err(Failure::Passing(_)) => {}
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        };
        self.lose(lost, spans, &why);
    }

    fn lose(&mut self, lost: Lost, spans: usize, why: &str) {
        lost.count(spans);
        if !std::mem::replace(&mut self.is_lossy, true) {
            tracing::warn!(
                error = why,
                reason = lost.label(),
                "the collector of traces does not take spans; they are dropped and counted on /metrics"
            );
        }
    }

    /// Returns how many spans it did not want.
    async fn post(&self, body: Vec<u8>) -> Result<i64, Failure> {
        let request = self
            .client
            .post(self.settings.address.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body);
        // The address is left out: it is in the settings.
        let passing =
            |error: reqwest::Error| Failure::Passing(chain(&error.without_url()).to_string());
        let mut response = request.send().await.map_err(passing)?;
        let status = response.status();
        if status.is_success() {
            let mut answer = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(passing)? {
                if ANSWER_BYTES - answer.len() < chunk.len() {
                    return Ok(0);
                }
                answer.extend_from_slice(&chunk);
            }
            // It took them, whatever it says besides.
            let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap_or_default();
            return Ok(answer.partial_success.map_or(0, |partial| partial.rejected_spans));
        }
        let said = format!("status {}", status.as_u16());
        // The codes that the standard lets a client try again on.
        let passes = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(if passes { Failure::Passing(said) } else { Failure::Refusal(said) })
    }
}

#[cfg(test)]
mod tests;
