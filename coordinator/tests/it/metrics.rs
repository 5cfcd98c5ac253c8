//! The table of metrics in the documents, the programs, and what they serve.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use test_kit::{TestRedis, eventually};

use crate::health::{both_listening, get, listening};
use crate::support::{COORDINATOR, Telegram, coordinator_command};

/// Metrics that a conversation does not bring about, each tested where it is.
const ELSEWHERE: &[&str] = &[
    "freefans_trace_spans_dropped_total",          // traces
    "freefans_trace_spans_sent_total",             // traces
    "freefans_worker_traceparent_malformed_total", // traces
    "freefans_admin_messages_total",               // alerts.rs
    "freefans_dead_letters_recent",                // here: dead letters
    "freefans_plugin_cache_hits_total",            // host/tests/it/compile.rs
    "freefans_plugin_compiles_total",              // likewise
    "freefans_plugin_http_requests_total",         // host/tests/it/forums.rs
    "freefans_plugin_http_seconds",                // with it
    "freefans_plugin_limits_total",                // host/tests/it/hostile.rs
    "freefans_redis_errors_total",                 // here: a full Redis
    "freefans_redis_refuses",                      // with it
    "freefans_telegram_answers_unreadable_total",  // unreadable.rs
    "freefans_telegram_asked_to_wait_total",       // limits.rs
    "freefans_updates_passed_over_total",          // unreadable.rs
    "freefans_updates_unreadable_total",           // unreadable.rs
    "freefans_worker_fleet_canaries_total",        // host/tests/it/rollout.rs
    "freefans_worker_fleet_plugins",               // host/tests/it/fleet.rs
    "freefans_worker_plugin_refused",              // prometheus.rs
];

/// A row of the table.
#[derive(Debug)]
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    served_by: String,
}

fn documented() -> (Vec<String>, BTreeMap<String, Row>) {
    let page = fs::read_to_string(test_kit::root().join("docs/operations.md")).unwrap();
    let (_, table) = page.split_once("<!-- metrics: ").unwrap();
    let (table, _) = table.split_once("<!-- end of metrics -->").unwrap();
    let lines: Vec<String> =
        table.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
    let rows = lines.iter().map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let labels = cells[2].split(", ").map(|label| label.trim_matches('`').to_owned());
        let row = Row {
            kind: cells[1].to_owned(),
            labels: labels.filter(|label| !label.is_empty()).collect(),
            served_by: cells[3].to_owned(),
        };
        (cells[0].trim_start_matches("| `").trim_end_matches('`').to_owned(), row)
    });
    let rows = rows.collect();
    (lines, rows)
}

#[test]
fn the_documented_metrics_are_those_of_the_programs() {
    let (mut documented, rows) = documented();
    assert_eq!(documented.len(), rows.len(), "a name stands twice");
    let mut made = BTreeSet::new();
    for program in [PathBuf::from(COORDINATOR), test_kit::program(COORDINATOR, "worker")] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["config", "metrics"]).env_clear().current_dir(folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success());
        made.extend(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned));
    }
    documented.sort_unstable();
    let made: Vec<String> = made.into_iter().collect();
    assert_eq!(documented, made, "write it anew with `cargo xtask metrics-doc`");
}

/// What a program serves: kinds and labels by name. `le` and `quantile` belong to the text format.
fn served(metrics: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut served: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in metrics.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            served.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending).filter(|name| served.contains_key(*name)));
        let (_, seen) = served.get_mut(of_histogram.unwrap_or(name)).unwrap();
        let labels = labels.strip_suffix('}').unwrap().split("\",");
        let names = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        seen.extend(names.filter(|name| name != "le"));
    }
    served
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_programs_serve_is_documented_and_what_is_documented_is_served() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (_processes, worker, coordinator) = both_listening(&redis, &telegram, folder.path()).await;
    telegram.write(7, "luna marlowe").await;
    telegram.bot_says(7, "1. Luna Marlowe").await;
    let (_, rows) = documented();
    eventually("the answer in the coordinator's figures", async || {
        let (_, metrics) = get(&coordinator, "/metrics").await;
        let answered = metrics.contains("freefans_answer_seconds_count");
        let counted = metrics.contains("freefans_queue_events_total{");
        (answered && counted && metrics.contains("freefans_plugin_workers{")).then_some(())
    })
    .await;
    let mut seen = BTreeSet::new();
    for (address, program) in [(&coordinator, "coordinator"), (&worker, "worker")] {
        let (_, metrics) = get(address, "/metrics").await;
        for (name, (kind, labels)) in served(&metrics) {
            let row = rows.get(&name).unwrap_or_else(|| panic!("`{name}` is in no row"));
            assert_eq!(kind, row.kind, "{name}");
            assert_eq!(labels, row.labels, "{name}");
            assert!(["both", program].contains(&&*row.served_by), "{name} by {program}");
            seen.insert(name);
        }
    }
    assert!(ELSEWHERE.iter().all(|name| rows.contains_key(*name)), "one is documented no more");
    let missing = rows.keys().filter(|name| !seen.contains(*name));
    let unexpected: Vec<_> = missing.filter(|name| !ELSEWHERE.contains(&name.as_str())).collect();
    assert!(unexpected.is_empty(), "documented, and not served: {unexpected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_redis_is_counted_by_its_code_and_ends() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (_processes, worker, coordinator) = both_listening(&redis, &telegram, folder.path()).await;
    // Nobody writes anything: both find it out by themselves.
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for address in [&worker, &coordinator] {
        shows(address, "freefans_redis_refuses{code=\"OOM\"} 1").await;
        shows(address, "freefans_ready{program=").await;
    }
    shows(&coordinator, "freefans_ready{program=\"coordinator\"} 0").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    for address in [&worker, &coordinator] {
        shows(address, "freefans_redis_refuses{code=\"OOM\"} 0").await;
    }
    shows(&coordinator, "freefans_ready{program=\"coordinator\"} 1").await;
    let (_, metrics) = get(&coordinator, "/metrics").await;
    assert!(!metrics.contains("freefans_redis_errors_total{code=\"OOM\"} 0"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_by_code_and_names_that_nobody_made_are_no_labels() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let result = json!({"success": false, "error": "x", "metadata": {"code": "trap"}}).to_string();
    let made_up = json!({"success": false, "metadata": {"code": "made-up"}}).to_string();
    redis.ask(&["SADD", "freefans:tasks:types", "search_creator"]);
    let key = "freefans:tasks:dead:{search_creator}";
    for result in [&result, &result, &made_up] {
        redis.ask(&["XADD", key, "*", "task", "{", "result", result]);
    }
    redis.ask(&["HSET", "freefans:tasks:meta:{search_creator}", "dead", "3", "somebodys", "9"]);
    let command = coordinator_command(&redis, &telegram);
    let (_coordinator, address) = listening(command, "coordinator ready").await;
    let line = |code: &str, count: u32| {
        format!(
            "freefans_dead_letters_recent{{task_type=\"search_creator\",code=\"{code}\"}} {count}"
        )
    };
    shows(&address, &line("trap", 2)).await;
    shows(&address, &line("unreadable", 1)).await;
    let (_, metrics) = get(&address, "/metrics").await;
    assert!(metrics.contains("event=\"dead\"} 3"), "{metrics}");
    assert!(!metrics.contains("somebodys") && !metrics.contains("made-up"), "{metrics}");
    redis.ask(&["DEL", key]);
    shows(&address, &line("trap", 0)).await;
}

async fn shows(address: &str, line: &str) {
    eventually(&format!("`{line}` in the metrics"), async || {
        let (_, metrics) = get(address, "/metrics").await;
        metrics.lines().any(|shown| shown.starts_with(line)).then_some(())
    })
    .await;
}
