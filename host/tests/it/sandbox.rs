//! A plugin that misbehaves fails its own task only.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Folder, Process, eventually, metrics, redis, run, start_worker, start_worker_with, task,
};

const TIGHT: &str = "[grants]\nnet = []\n[limits]\nwall_ms = 2000\ncpu_ms = 300\nmax_memory_mb = 32\n\
                     max_output_kb = 64\nmax_log_lines = 5\nmax_input_kb = 16\n\
                     max_cache_calls = 3\nmax_http_requests = 1\n";

async fn tight() -> (test_kit::TestRedis, queue::TaskQueue, Folder, Process) {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe", "search"]);
    folder.settings("probe", TIGHT);
    let worker = start_worker(&redis, &folder).await;
    (redis, queue, folder, worker)
}

#[tokio::test]
async fn each_misbehaviour_has_its_code_and_the_next_task_is_answered() {
    let (_redis, queue, _folder, worker) = tight().await;
    for (task_type, params, code) in [
        ("probe_panic", json!({"message": "boom"}), "trap"),
        ("probe_spin", json!({"forever": true}), "cpu-limit"),
        ("probe_sleep", json!({"ms": 60_000}), "wall-limit"),
        ("probe_memory", json!({"mb": 100}), "memory-limit"),
        ("probe_output", json!({"kb": 200}), "output-limit"),
        ("probe_echo", json!({"text": "x".repeat(20_000)}), "input-limit"),
        ("probe_exit", json!({"code": 0}), "exited"),
        ("probe_fail", json!({"kind": "invalid", "message": "m"}), "invalid-params"),
        ("probe_fail", json!({"kind": "not-found", "message": "m"}), "not-found"),
        ("probe_fail", json!({"kind": "fatal", "message": "m"}), "plugin-failed"),
    ] {
        let result = run(&queue, task_type, params).await;
        assert!(!result.success, "{task_type}");
        assert_eq!(result.code(), Some(code), "{task_type}: {result:?}");
        let next = run(&queue, "search_creator", json!({"query": "luna"})).await;
        assert!(next.success, "after {task_type}");
    }
    worker.says(&["plugin trapped", "boom"]).await;
}

#[tokio::test]
async fn the_last_lines_of_a_task_are_in_the_history_where_texts_are_kept() {
    for (texts, expected) in [("whole", Some("info: line 0\ninfo: line 1")), ("off", None)] {
        let (redis, queue) = redis().await;
        let folder = Folder::with(&["probe"]);
        folder.settings("probe", TIGHT);
        let _worker = start_worker_with(&redis, &folder, &[("HISTORY_TEXTS", texts)]).await;
        let task = task("probe_log", &json!({"lines": 2}));
        queue.submit_task(&task).await.unwrap();
        let finished = eventually("the history's entry", async || {
            queue.history().task(&task.task_id).await.unwrap().finished
        })
        .await;
        assert_eq!(finished.log.as_deref(), expected, "{texts}");
    }
}

#[tokio::test]
async fn looping_guests_hold_up_nobody() {
    let (_redis, queue, folder, worker) = tight().await;
    folder.settings("probe", "[grants]\nnet = []\n[limits]\ncpu_ms = 20000\n");
    worker.says(&["plugin published", "plugin=\"probe\"", "replaces=\"1.0.0\""]).await;
    // More loops than this machine is likely to have cores to spare.
    let loops: Vec<_> = (0..6).map(|_| task("probe_spin", &json!({"ms": 4_000}))).collect();
    for task in &loops {
        queue.submit_task(task).await.unwrap();
    }
    let started = Instant::now();
    let mut answered = 0;
    while started.elapsed() < Duration::from_secs(3) {
        assert!(run(&queue, "search_creator", json!({"query": "luna"})).await.success);
        answered += 1;
    }
    assert!(answered > 0);
    for task in &loops {
        let result =
            queue.get_result(&task.task_id, Duration::from_secs(60)).await.unwrap().unwrap();
        assert!(result.success, "{result:?}");
        assert_eq!(result.metadata["attempt"], 1, "its lease was renewed all the time");
    }
}

#[tokio::test]
async fn nothing_that_one_task_writes_is_seen_by_the_next() {
    let (_redis, queue, _folder, _worker) = tight().await;
    for _ in 0..3 {
        assert_eq!(run(&queue, "probe_count", json!({})).await.data["calls"], 1);
    }
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_and_then_told() {
    let (redis, queue) = redis().await;
    let worker =
        start_worker_with(&redis, &Folder::with(&["probe"]), &[("LISTEN", "127.0.0.1:0")]).await;
    let result = run(&queue, "probe_fail", json!({"kind": "retry", "message": "busy"})).await;
    assert_eq!(result.code(), Some("retries-exhausted"));
    assert_eq!(result.metadata["attempt"], 4);
    assert_eq!(result.error.as_deref(), Some("busy"));
    // Three of the four attempts were not the last.
    let metrics = metrics(&worker).await;
    for (code, count) in [("retry", 3), ("retries-exhausted", 1)] {
        let counted = format!("plugin=\"probe\",code=\"{code}\"}} {count}\n");
        assert!(metrics.contains(&counted), "{counted}: {metrics}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_granted_is_refused_and_logged_with_the_line_to_add() {
    let (_redis, queue, _folder, worker) = tight().await;
    let result = run(&queue, "probe_fetch", json!({"url": "http://127.0.0.1:1/"})).await;
    assert_eq!(result.error.as_deref(), Some("Denied"));
    worker.says(&["request refused", "http://127.0.0.1:1", "`net`"]).await;
}

#[tokio::test]
async fn cache_and_data_are_closed_until_they_are_granted() {
    let (_redis, queue, folder, worker) = tight().await;
    let closed = run(&queue, "probe_cache", json!({"key": "k", "value": "v"})).await;
    assert!(closed.error.unwrap().contains("NotGranted"));
    let closed = run(&queue, "probe_data", json!({"name": "creators"})).await;
    assert!(closed.error.unwrap().contains("NotGranted"));
    folder.settings(
        "probe",
        "[grants]\nnet = []\ncache = true\ndata = { creators = \"data/creators.csv\" }\n",
    );
    worker.says(&["plugin published", "plugin=\"probe\"", "replaces=\"1.0.0\""]).await;
    run(&queue, "probe_cache", json!({"key": "k", "value": "v"})).await;
    let open = run(&queue, "probe_cache", json!({"key": "k"})).await;
    assert_eq!(open.data["value"], "v");
    let open = run(&queue, "probe_data", json!({"name": "creators"})).await;
    assert!(open.data["bytes"].as_u64().unwrap() > 1_000);
}

#[tokio::test]
async fn a_chatty_plugin_lives_and_its_log_is_cut() {
    let (_redis, queue, _folder, worker) = tight().await;
    let result = run(&queue, "probe_log", json!({"lines": 1_000})).await;
    assert!(result.success);
    assert_eq!(result.metadata["limits"], json!(["log-limit"]));
    worker.says(&["plugin output truncated", "dropped=995"]).await;
}

#[tokio::test]
async fn a_plugins_lines_name_its_version_the_task_and_the_trace() {
    let (_redis, queue, _folder, worker) = tight().await;
    let mut traced = task("probe_log", &json!({"lines": 1}));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    traced.traceparent = Some(format!("00-{trace}-00f067aa0ba902b7-01"));
    queue.submit_task(&traced).await.unwrap();
    worker
        .says(&[
            "plugin says",
            "plugin=\"probe\"",
            "plugin_version=\"1.0.0\"",
            &format!("task_id=\"{}\"", traced.task_id),
            &format!("trace_id=\"{trace}\""),
        ])
        .await;
}

#[tokio::test]
async fn a_malformed_traceparent_is_dropped_and_counted_and_the_task_gets_a_trace_of_its_own() {
    let (redis, queue) = redis().await;
    let folder = Folder::with(&["probe"]);
    let worker = start_worker_with(&redis, &folder, &[("LISTEN", "127.0.0.1:0")]).await;
    let sent = "00-0123456789ABCDEF0123456789abcdef-00f067aa0ba902b7-01";
    let mut odd = task("probe_log", &json!({"lines": 1}));
    odd.traceparent = Some(sent.to_owned());
    queue.submit_task(&odd).await.unwrap();
    let result = queue.get_result(&odd.task_id, test_kit::PATIENCE).await.unwrap().unwrap();
    assert!(result.success, "{result:?}");
    worker.says(&["`traceparent` dropped", odd.task_id.as_str()]).await;
    worker.says(&["plugin says", odd.task_id.as_str(), "trace_id=\""]).await;
    assert!(!worker.log().contains("0123456789"), "{}", worker.log());
    let shown = metrics(&worker).await;
    assert!(shown.contains("freefans_worker_traceparent_malformed_total 1"), "{shown}");
}
