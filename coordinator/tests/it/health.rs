//! What a supervisor and a collector of metrics see.

use std::path::Path;
use std::process::Command;

use test_kit::{Process, TestRedis, eventually};

use crate::support::{Telegram, coordinator_command, real_worker_command};

pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    match reqwest::get(format!("http://{address}{path}")).await {
        Ok(response) => (response.status().as_u16(), response.text().await.unwrap()),
        Err(_) => (0, String::new()),
    }
}

/// Starts a program that serves its health on a free port, and gives the port's address.
pub(crate) async fn listening(mut command: Command, ready: &str) -> (Process, String) {
    let process = Process::start_until(command.args(["--listen", "127.0.0.1:0"]), ready).await;
    process.says(&["serving health and metrics"]).await;
    let log = process.log();
    let address = log.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    (process, address.to_owned())
}

/// Starts a real worker with the shipped plugins, which are put into `folder`, and a coordinator, and gives the addresses of
/// their health.
pub(crate) async fn both_listening(
    redis: &TestRedis,
    telegram: &Telegram,
    folder: &Path,
) -> ([Process; 2], String, String) {
    let (worker, of_worker) = listening(real_worker_command(redis, folder), "ready: ").await;
    let command = coordinator_command(redis, telegram);
    let (coordinator, of_coordinator) = listening(command, "coordinator ready").await;
    ([worker, coordinator], of_worker, of_coordinator)
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_tell_of_every_task_and_of_redis_going_away() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (_processes, worker, coordinator) = both_listening(&redis, &telegram, folder.path()).await;
    telegram.write(7, "luna marlowe").await;
    telegram.bot_says(7, "1. Luna Marlowe").await;
    for address in [&worker, &coordinator] {
        assert_eq!(get(address, "/healthz").await.0, 200);
        assert_eq!(get(address, "/readyz").await, (200, "ready\n".to_owned()));
    }
    let shows = async |address: &str, line: &str| {
        eventually(&format!("`{line}` in the metrics"), async || {
            let (_, metrics) = get(address, "/metrics").await;
            metrics.lines().any(|shown| shown.starts_with(line)).then_some(())
        })
        .await;
    };
    shows(
        &worker,
        r#"freefans_worker_tasks_total{task_type="search_creator",plugin="search",code="ok"} 1"#,
    )
    .await;
    shows(&worker, r#"freefans_task_run_seconds_count{task_type="search_creator"} 1"#).await;
    shows(&worker, r#"freefans_worker_plugin_info{plugin="search",version="1.0.0"} 1"#).await;
    shows(
        &coordinator,
        r#"freefans_queue_events_total{task_type="search_creator",event="delivered"} 1"#,
    )
    .await;
    shows(&coordinator, r#"freefans_queue_oldest_age_seconds{task_type="search_creator"} 0"#).await;
    shows(&coordinator, r#"freefans_queue_tasks{task_type="search_creator",state="stuck"} 0"#)
        .await;
    shows(&coordinator, r#"freefans_plugin_workers{plugin="content",version="1.0.0"} 1"#).await;
    assert!(!get(&worker, "/metrics").await.1.contains("luna"), "no query in a metric");
    redis.kill();
    for address in [&worker, &coordinator] {
        eventually("not ready", async || {
            let (code, said) = get(address, "/readyz").await;
            (code == 503 && said.starts_with("not ready: ")).then_some(())
        })
        .await;
        assert_eq!(get(address, "/healthz").await.0, 200, "alive all the same");
    }
    redis.revive();
    for address in [&worker, &coordinator] {
        eventually("ready again", async || (get(address, "/readyz").await.0 == 200).then_some(()))
            .await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_with_the_flag_to_change() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let taken = telegram.address().strip_prefix("http://").unwrap().to_owned();
    let mut command = coordinator_command(&redis, &telegram);
    command.args(["--listen", &taken]);
    let process = Process::start(&mut command);
    process.says(&["cannot listen on", "--listen"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_later_is_waited_for() {
    let mut redis = TestRedis::start_durable();
    let telegram = Telegram::start().await;
    redis.kill();
    let folder = tempfile::tempdir().unwrap();
    let worker = real_worker_command(&redis, folder.path());
    let (worker, at_worker) = listening(worker, "serving health and metrics").await;
    let coordinator = coordinator_command(&redis, &telegram);
    let (coordinator, at_coordinator) = listening(coordinator, "serving health and metrics").await;
    for (process, address) in [(&worker, &at_worker), (&coordinator, &at_coordinator)] {
        process.says(&["cannot reach Redis; trying again"]).await;
        assert_eq!(get(address, "/healthz").await.0, 200, "waiting is not being dead");
        let not_yet = (503, "not ready: Redis was not reached yet\n".to_owned());
        assert_eq!(get(address, "/readyz").await, not_yet);
    }
    redis.revive();
    coordinator.says(&["coordinator ready"]).await;
    worker.says(&["ready: "]).await;
    telegram.write(7, "luna marlowe").await;
    telegram.bot_says(7, "1. Luna Marlowe").await;
}
