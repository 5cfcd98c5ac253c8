use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::Tracer as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A collector whose server gives every call the same answer.
async fn answering(head: &str, body: Vec<u8>) -> Collector {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let _ = socket.read(&mut request).await.unwrap();
            socket.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        }
    });
    let settings = TraceSettings {
        address: address.parse().unwrap(),
        headers: reqwest::header::HeaderMap::new(),
        timeout: Duration::from_secs(30),
        attributes: Vec::new(),
        sampler: opentelemetry_sdk::trace::Sampler::AlwaysOn,
    };
    Collector::new(&settings, &resource(&settings, "test")).unwrap()
}

async fn post(head: &str, body: Vec<u8>) -> Result<i64, &'static str> {
    let posted = answering(head, body).await.post(b"spans".to_vec()).await;
    posted.map_err(|failure| match failure {
        Failure::Passing(_) => "passing",
        Failure::Refusal(_) => "refusal",
    })
}

#[tokio::test]
async fn an_answer_says_what_was_taken_and_whether_to_try_again() {
    let partial = ExportTracePartialSuccess { rejected_spans: 3, ..Default::default() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) };
    assert_eq!(post("200 OK", partial.encode_to_vec()).await, Ok(3));
    assert_eq!(post("200 OK", Vec::new()).await, Ok(0));
    assert_eq!(post("200 OK", b"\xff no protobuf".to_vec()).await, Ok(0));
    assert_eq!(post("200 OK", vec![0; ANSWER_BYTES + 1]).await, Ok(0));
    for passing in ["429 Slow", "502 Bad", "503 Away", "504 Late"] {
        assert_eq!(post(passing, Vec::new()).await, Err("passing"), "{passing}");
    }
    // A redirect is not followed: the headers are for this server.
    for refusal in ["400 Bad", "401 Who", "404 Where", "500 Broken", "307 There\r\nlocation: /x"] {
        assert_eq!(post(refusal, Vec::new()).await, Err("refusal"), "{refusal}");
    }
}

#[test]
fn a_span_that_finds_the_queue_full_is_dropped_and_counted_and_nobody_waits() {
    let (spans, mut waiting) = mpsc::channel(2);
    let queue = SpanQueue { spans, was_full: AtomicBool::new(false) };
    let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
    let recorder = PrometheusBuilder::new().build_recorder();
    let counted = recorder.handle();
    with_local_recorder(&recorder, || {
        let tracer = provider.tracer("test");
        for _ in 0..5 {
            drop(tracer.start("step"));
        }
    });
    let text = counted.render();
    assert!(text.contains("freefans_trace_spans_dropped_total{reason=\"queue_full\"} 3"), "{text}");
    assert!(
        waiting.try_recv().is_ok() && waiting.try_recv().is_ok() && waiting.try_recv().is_err()
    );
}

#[tokio::test]
async fn what_waits_at_the_end_is_sent_before_the_export_is_over() {
    let (spans, waiting) = mpsc::channel(8);
    let queue = SpanQueue { spans, was_full: AtomicBool::new(false) };
    let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
    let tracer = provider.tracer("test");
    for _ in 0..3 {
        drop(tracer.start("step"));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    let recorder = PrometheusBuilder::new().build_recorder();
    let counted = recorder.handle();
    let collector = answering("200 OK", Vec::new()).await;
    let _recording = metrics::set_default_local_recorder(&recorder);
    send_until(waiting, collector, stop).await;
    let text = counted.render();
    assert!(text.contains("freefans_trace_spans_sent_total 3"), "{text}");
}
