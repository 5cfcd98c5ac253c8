//! The alerts in docs/monitoring, with a real Prometheus that reads real processes: each fires, and ends when the trouble is mended.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use test_kit::{Process, TestRedis, eventually};

use crate::health::{get, listening};
use crate::support::{
    Telegram, coordinator_command, free_address, real_worker_command, worker_command,
};

/// A Prometheus that knows the rules, with all their times made short.
struct Prometheus {
    address: String,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Reads the metrics of `workers` and `coordinators`.
    async fn start(workers: &[&str], coordinators: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = test_kit::root().join("docs/monitoring/alerts.yml");
        let rules = shortened(&fs::read_to_string(rules).unwrap());
        fs::write(folder.path().join("alerts.yml"), rules).unwrap();
        let job = |name: &str, targets: &[&str]| json!({"job_name": name, "static_configs": [{"targets": targets}]});
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [job("freefans-worker", workers), job("freefans-coordinator", coordinators)],
        });
        // JSON is YAML.
        fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let address = free_address();
        let mut command = command(folder.path(), &address);
        let process = Process::start_until(&mut command, "Server is ready").await;
        Self { address, _process: process, _folder: folder }
    }

    /// The alerts that fire, with their labels.
    async fn firing(&self) -> Vec<Value> {
        let (_, said) = get(&self.address, "/api/v1/alerts").await;
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let alerts = said["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.into_iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"].clone()).collect()
    }

    async fn fires(&self, alert: &str, labels: &[(&str, &str)]) {
        eventually(&format!("{alert} with {labels:?}"), async || {
            let firing = self.firing().await;
            let wanted = |found: &Value| {
                found["alertname"] == alert
                    && labels.iter().all(|(label, value)| found[*label] == *value)
            };
            firing.iter().any(wanted).then_some(())
        })
        .await;
    }

    async fn ends(&self, alert: &str) {
        eventually(&format!("the end of {alert}"), async || {
            // An answer without alerts is no answer when Prometheus does not give one.
            let (code, _) = get(&self.address, "/-/healthy").await;
            let firing = self.firing().await;
            (code == 200 && firing.iter().all(|found| found["alertname"] != alert)).then_some(())
        })
        .await;
    }
}

fn command(folder: &Path, address: &str) -> Command {
    let mut command = Command::new("prometheus");
    let found = Command::new("prometheus").arg("--version").output();
    assert!(
        found.is_ok(),
        "there is no `prometheus`: install Debian's package of that name, as `cargo xtask test` does"
    );
    command.arg("--config.file").arg(folder.join("prometheus.yml"));
    command.arg("--storage.tsdb.path").arg(folder.join("data"));
    command.args(["--web.listen-address", address]);
    command
}

/// The same rules with `for: 1s` and windows of 10 s.
fn shortened(rules: &str) -> String {
    let mut text = String::new();
    for line in rules.lines() {
        let line = match line.split_once("for: ") {
            Some((before, _)) if before.trim().is_empty() => format!("{before}for: 1s"),
            _ => ["[5m", "[10m", "[15m"]
                .iter()
                .fold(line.to_owned(), |line, window| line.replace(window, "[10s")),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[test]
fn all_times_of_the_rules_are_made_short() {
    let rules = fs::read_to_string(test_kit::root().join("docs/monitoring/alerts.yml")).unwrap();
    let code: String = shortened(&rules)
        .lines()
        .filter(|line| line.contains("expr") || line.contains('['))
        .collect();
    assert!(!code.contains("m]") && !code.contains("m:]"), "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_for_a_stopped_worker_a_broken_plugin_and_a_full_redis_and_end() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let worker = real_worker_command(&redis, folder.path());
    let (worker, worker_at) = listening(worker, "ready: ").await;
    let coordinator = coordinator_command(&redis, &telegram);
    let (_coordinator, coordinator_at) = listening(coordinator, "coordinator ready").await;
    let prometheus = Prometheus::start(&[&worker_at], &[&coordinator_at]).await;
    // Every task waits for an answer within two minutes, so nothing is wrong now.
    telegram.write(7, "luna marlowe").await;
    telegram.bot_says(7, "1. Luna Marlowe").await;
    eventually("a first evaluation", async || {
        let (_, said) = get(&prometheus.address, "/api/v1/query?query=freefans_workers").await;
        said.contains("\"1\"").then_some(())
    })
    .await;
    assert_eq!(prometheus.firing().await, Vec::<Value>::new());

    fs::write(folder.path().join("broken.wasm"), "not a component").unwrap();
    prometheus.fires("FreefansPluginRefused", &[("plugin", "broken")]).await;
    fs::remove_file(folder.path().join("broken.wasm")).unwrap();
    prometheus.ends("FreefansPluginRefused").await;

    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    prometheus.fires("FreefansRedisRefuses", &[("code", "OOM")]).await;
    prometheus.fires("FreefansCoordinatorNotReady", &[]).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    prometheus.ends("FreefansRedisRefuses").await;
    prometheus.ends("FreefansCoordinatorNotReady").await;

    // It listens there again when it is back.
    assert_eq!(worker.terminate(), Some(0));
    prometheus.fires("FreefansProcessDown", &[("job", "freefans-worker")]).await;
    telegram.write(7, "noor quillon").await;
    prometheus.fires("FreefansNoWorkerForType", &[("task_type", "search_creator")]).await;
    let mut again = worker_command(&redis, folder.path());
    again.args(["--listen", &worker_at]);
    let _worker = Process::start_until(&mut again, "ready: ").await;
    telegram.bot_says(7, "Noor Quillon").await;
    prometheus.ends("FreefansNoWorkerForType").await;
    prometheus.ends("FreefansProcessDown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_fires_while_another_program_has_the_webhook_and_ends() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let mut coordinator = coordinator_command(&redis, &telegram);
    coordinator.env("FOREIGN_WEBHOOK", "leave");
    let (_coordinator, at) = listening(coordinator, "coordinator ready").await;
    let prometheus = Prometheus::start(&[], &[&at]).await;
    telegram.call("setWebhook", &json!({"url": "http://127.0.0.1:9/elsewhere"})).await;
    let cause = [("cause", "foreign-webhook")];
    prometheus.fires("FreefansUpdatesGoElsewhere", &cause).await;
    telegram.call("deleteWebhook", &json!({})).await;
    prometheus.ends("FreefansUpdatesGoElsewhere").await;
}
