//! One trace from an update to its answer, in a collector and in the logs.

mod collector;

use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use queue::Task;
use serde_json::{Value, json};
use test_kit::{Process, TestRedis, eventually};

use crate::health::{get, listening};
use crate::support::{
    Telegram, coordinator_command, free_address, plugin_folder, queue_on, real_worker_command,
    worker_command,
};
use collector::{Collector, Span, tree};

/// A forum, and the headers of what it was asked. It is too busy for its first requests.
async fn forum(busy: usize) -> (String, Arc<Mutex<Vec<HeaderMap>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    let answer = async move |headers: HeaderMap| {
        let mut heads = heads.lock().unwrap();
        heads.push(headers);
        if heads.len() <= busy {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let topic = json!({"id": 5, "title": "Zephyrine, a thread", "slug": "z", "posts_count": 4});
        Ok(axum::Json(json!({"topics": [topic], "posts": []})))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer);
    tokio::spawn(async { axum::serve(listener, app).await });
    (address, asked)
}

/// Traced, and with JSON lines.
fn traced(mut command: Command, endpoint: &str) -> Command {
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret%20key")
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")
        .env("LOG_FORMAT", "json");
    command
}

/// Ends a program, and expects that it ends well.
async fn ends(mut process: Process) {
    process.signal("TERM");
    let ended = eventually("its end", async || process.ended().unwrap()).await;
    assert!(ended.success(), "{ended}:\n{}", process.whole_log());
}

/// The JSON lines of a program that belong to a trace.
fn lines_of(process: &Process, trace: &str) -> Vec<Value> {
    let log = process.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["trace_id"] == trace).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_question_is_one_tree_from_the_update_to_the_edit_with_the_plugins_request_in_it() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let collector = Collector::start(StatusCode::OK).await;
    let (forum, asked) = forum(0).await;
    let folder = tempfile::tempdir().unwrap();
    plugin_folder(folder.path());
    let settings = folder.path().join("search.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let net = "net = [\"${EXTENDED_SEARCH_URL}\"]\n";
    assert!(text.contains(net));
    let text = text.replace(net, &format!("{net}trace = [\"${{EXTENDED_SEARCH_URL}}\"]\n"));
    std::fs::write(&settings, text).unwrap();
    let mut worker = traced(worker_command(&redis, folder.path()), collector.address());
    worker.env("EXTENDED_SEARCH_URL", &forum);
    let worker = Process::start_until(&mut worker, "ready: ").await;
    let mut coordinator = traced(coordinator_command(&redis, &telegram), collector.address());
    coordinator.env("RUST_LOG", "info,coordinator=debug");
    let coordinator = Process::start_until(&mut coordinator, "coordinator ready").await;

    telegram.write(7, "zephyrine").await;
    let nothing = telegram.bot_says(7, "zephyrine").await;
    let shown = eventually("the answer with its buttons", async || {
        let chat = telegram.bot_messages(7).await;
        let is_answer = |message: &Value| message["buttons"].to_string().contains("Search more");
        chat.into_iter().find(is_answer)
    })
    .await;
    assert_eq!(shown["message_id"], nothing["message_id"]);
    telegram.press(7, 7, &shown, "Search more").await;
    telegram.bot_says(7, "Zephyrine, a thread").await;

    let steps = ["telegram update", "send search_simpcity", "process search_simpcity", "GET"];
    let steps = [&steps[..], &["deliver search_simpcity", "editMessageText"]].concat();
    let mut spans = eventually("the whole trace", async || collector.trace_with(&steps)).await;
    let one = |spans: &[Span], name: &str| {
        let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0].clone()
    };
    let send = one(&spans, "send search_simpcity");
    // What a slow machine adds: "typing…", and notes of progress.
    spans.retain(|span| {
        span.parent != send.id
            || span.kind != SpanKind::Client
            || span.name == "answerCallbackQuery"
    });
    let tree = tree(&spans);
    let documented = std::fs::read_to_string(test_kit::root().join("docs/tracing.md"));
    assert!(
        documented.unwrap().contains(&tree),
        "docs/tracing.md shows another tree than:\n{tree}"
    );

    let trace = send.trace.as_str();
    let request = one(&spans, "GET");
    assert_eq!(request.fact("http.response.status_code"), Some("200"));
    assert_eq!(request.fact("server.address"), Some("127.0.0.1"));
    let process = one(&spans, "process search_simpcity");
    let task = process.fact("messaging.message.id").unwrap();
    assert_eq!(send.fact("messaging.message.id"), Some(task));
    assert_eq!(send.fact("messaging.system"), Some("redis"));
    assert_eq!(send.fact("messaging.destination.name"), Some("search_simpcity"));
    let update = one(&spans, "telegram update");
    assert_eq!(update.fact("freefans.update.kind"), Some("press"));
    assert!(spans.iter().all(|span| span.failure.is_none()), "{spans:#?}");
    // The operator lets the forum know the trace.
    let told = asked.lock().unwrap()[0]["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(told, format!("00-{trace}-{}-01", request.id));
    // What people write and the programs' secrets are in no trace.
    assert!(!collector.has_text("ephyrine") && !collector.has_text("s3cret"));
    assert_eq!(collector.header("x-key"), ["s3cret key".to_owned()].into());
    assert_eq!(collector.header("content-type"), ["application/x-protobuf".to_owned()].into());
    // The same ids are in the lines of both programs.
    for (program, said) in [(&worker, "task ended"), (&coordinator, "task submitted")] {
        let lines = lines_of(program, trace);
        let line = lines.iter().find(|line| line["fields"]["message"] == said);
        let line = line.unwrap_or_else(|| panic!("no `{said}` of the trace: {lines:#?}"));
        assert_eq!(line["task_id"], task);
    }
    assert!(!worker.log().contains("s3cret") && !coordinator.log().contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_refuses_or_hangs_stops_no_answer_and_no_shutdown() {
    let refusing = Collector::start(StatusCode::BAD_REQUEST).await;
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = [
        format!("http://{}", free_address()),
        refusing.address().to_owned(),
        format!("http://{}", hanging.local_addr().unwrap()),
    ];
    for endpoint in &endpoints {
        let redis = TestRedis::start();
        let telegram = Telegram::start().await;
        let folder = tempfile::tempdir().unwrap();
        let mut worker = traced(real_worker_command(&redis, folder.path()), endpoint);
        let worker = Process::start_until(&mut worker, "ready: ").await;
        let mut coordinator = traced(coordinator_command(&redis, &telegram), endpoint);
        coordinator.env_remove("LOG_FORMAT");
        let (coordinator, health) = listening(coordinator, "coordinator ready").await;
        telegram.write(7, "luna marlowe").await;
        telegram.bot_says(7, "1. Luna Marlowe").await;
        if *endpoint == endpoints[1] {
            eventually("a count of what was lost", async || {
                let (_, metrics) = get(&health, "/metrics").await;
                let name = "freefans_trace_spans_dropped_total{reason=\"refused\"}";
                metrics.lines().any(|line| line.starts_with(name)).then_some(())
            })
            .await;
            coordinator.says(&["the collector of traces does not take spans", "status 400"]).await;
            telegram.write(7, "luna marlowe").await;
            eventually("another refusal", async || (refusing.calls() >= 3).then_some(())).await;
            let told = coordinator.log().matches("does not take spans").count();
            assert_eq!(told, 1, "it is said once");
        }
        ends(coordinator).await;
        ends(worker).await;
    }
}

/// Asks one question, and expects lines of both programs with the same trace and task.
async fn check_lines(mut coordinator: Command, mut worker: Command, telegram: &Telegram) {
    let worker = Process::start_until(worker.env("LOG_FORMAT", "json"), "ready: ").await;
    coordinator.env("LOG_FORMAT", "json").env("RUST_LOG", "info,coordinator=debug");
    let coordinator = Process::start_until(&mut coordinator, "coordinator ready").await;
    telegram.write(7, "luna marlowe").await;
    telegram.bot_says(7, "1. Luna Marlowe").await;
    let ended = eventually("the worker's line", async || {
        let log = worker.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut ended = lines.filter(|line| line["fields"]["message"] == "task ended");
        ended.next()
    })
    .await;
    let lines = lines_of(&coordinator, ended["trace_id"].as_str().unwrap());
    assert!(ended["task_id"].is_string(), "{ended}");
    assert!(lines.iter().any(|line| line["task_id"] == ended["task_id"]), "{lines:#?}");
    // What waits to be exported is sent now.
    ends(coordinator).await;
    ends(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_not_sampled_is_exported_by_no_program_and_still_joins_their_lines() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let collector = Collector::start(StatusCode::OK).await;
    let folder = tempfile::tempdir().unwrap();
    // The worker would sample everything; the coordinator has decided.
    let worker = traced(real_worker_command(&redis, folder.path()), collector.address());
    let mut coordinator = traced(coordinator_command(&redis, &telegram), collector.address());
    coordinator
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0");
    check_lines(coordinator, worker, &telegram).await;
    assert_eq!(collector.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_the_lines_of_both_programs_still_share_the_trace() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let worker = real_worker_command(&redis, folder.path());
    check_lines(coordinator_command(&redis, &telegram), worker, &telegram).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_at_a_task_is_a_step_of_its_own_in_the_same_trace() {
    let redis = TestRedis::start();
    let collector = Collector::start(StatusCode::OK).await;
    let (forum, asked) = forum(1).await;
    let folder = tempfile::tempdir().unwrap();
    let mut worker = traced(real_worker_command(&redis, folder.path()), collector.address());
    let command = worker.env("EXTENDED_SEARCH_URL", &forum);
    let _worker = Process::start_until(command, "ready: ").await;
    let queue = queue_on(&redis).await;
    let params = json!({"query": "luna"}).as_object().unwrap().clone();
    let mut task = Task::new("search_simpcity".parse().unwrap(), 7, params);
    let above = "00f067aa0ba902b7";
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    task.traceparent = Some(format!("00-{trace}-{above}-01"));
    queue.submit_task(&task).await.unwrap();
    let result = queue.get_result(&task.task_id, test_kit::PATIENCE).await.unwrap().unwrap();
    assert!(result.success, "{result:?}");
    let attempts = eventually("two attempts", async || {
        let spans = collector.spans();
        let attempts = spans.into_iter().filter(|span| span.name == "process search_simpcity");
        let attempts: Vec<Span> = attempts.collect();
        (attempts.len() == 2).then_some(attempts)
    })
    .await;
    for (number, attempt) in ["1", "2"].iter().zip(&attempts) {
        assert_eq!(attempt.fact("freefans.task.attempt"), Some(*number));
        assert_eq!((attempt.trace.as_str(), attempt.parent.as_str()), (trace, above));
    }
    assert!(attempts[0].failure.is_some() && attempts[1].failure.is_none(), "{attempts:#?}");
    let spans = collector.spans();
    let refused = spans.iter().find(|span| span.name == "GET" && span.failure.is_some());
    assert_eq!(refused.unwrap().failure.as_deref(), Some("503"));
    // Nobody said that the forum may know.
    assert!(asked.lock().unwrap().iter().all(|headers| !headers.contains_key("traceparent")));
}
