//! A Redis that refuses commands, freezes or restarts: no step is half done, no attempt is counted, and no task is lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use queue::{Finish, Finished, Lane, QueueConfig, Refusal, Side, Submitted, TaskQueue, TaskResult};
use serde_json::json;
use test_kit::{TestCluster, TestRedis};

use crate::support::{eventually, quick, task, task_type};
use crate::worker::{Echo, start};

/// Length of an outage: three lease times of [`quick`].
const OUTAGE: Duration = Duration::from_millis(2_000);
/// Work goes on within this time after an outage.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);
const TASKS: usize = 6;

fn config() -> QueueConfig {
    QueueConfig { user_cap: 100, side: Some(Side::Worker), ..quick() }
}

fn lane() -> Lane {
    Lane::whole(&task_type("echo"))
}

fn cause(number: usize) -> String {
    format!("trouble {number}")
}

/// Sends a command to the server that has the fault.
type Order<'a> = &'a dyn Fn(&[&str]);

async fn counters(queue: &TaskQueue) -> Vec<(String, u64)> {
    let stats = queue.stats(Duration::from_secs(60)).await.unwrap();
    let echo = stats.into_iter().find(|stats| stats.task_type == task_type("echo")).unwrap();
    let charges = ["lost", "retried", "timeout", "failed", "dead", "stale"];
    echo.counters.into_iter().filter(|(name, _)| charges.contains(&name.as_str())).collect()
}

/// An outage while four tasks run (a worker has four slots). After it all tasks succeed, and no attempt was counted.
async fn all_is_answered_after(
    queue: &TaskQueue,
    echo: &Arc<Echo>,
    begin: impl FnOnce(),
    end: impl FnOnce(),
    expects: Option<Refusal>,
) {
    let worker = start(queue, echo, "w", Duration::ZERO);
    for number in 0..TASKS {
        queue.submit_task(&task(1, &cause(number))).await.unwrap();
    }
    eventually("running tasks", async || (echo.started.load(Ordering::SeqCst) >= 4).then_some(()))
        .await;
    // Time for a sweep and a renewal.
    tokio::time::sleep(Duration::from_millis(300)).await;
    begin();
    let refused_from = Instant::now();
    if let Some(refusal) = expects {
        let reason = eventually("the reason", async || {
            TaskQueue::readiness(Some(queue))
                .await
                .err()
                .filter(|reason| reason.contains(refusal.code()))
        })
        .await;
        assert!(reason.contains(&refusal.to_string()), "{reason}");
    }
    tokio::time::sleep(OUTAGE.saturating_sub(refused_from.elapsed())).await;
    end();
    let over = Instant::now();
    all_succeed(queue).await;
    assert!(over.elapsed() < RECOVERY_LIMIT, "{:?}", over.elapsed());
    assert_eq!(counters(queue).await, [], "nothing counts against a task");
    eventually("readiness", async || TaskQueue::readiness(Some(queue)).await.ok()).await;
    worker.stop().await;
}

/// Runs from before an outage until during it.
fn slow() -> Arc<Echo> {
    Echo::new(&["echo"], Duration::from_millis(1_200))
}

/// Waits until each task has succeeded.
async fn all_succeed(queue: &TaskQueue) {
    for number in 0..TASKS {
        let id = task(1, &cause(number)).task_id;
        let result = eventually("an answer", async || {
            queue.get_result(&id, Duration::from_millis(200)).await.ok().flatten()
        })
        .await;
        assert!(result.success, "task {number}: {:?}", result.error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_accepts_ends_of_tasks_and_refuses_submits() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let refused = |queue: &TaskQueue| {
        let queue = queue.clone();
        async move { queue.submit_task(&task(9, "later")).await.map_err(|error| error.to_string()) }
    };
    for number in 0..3 {
        queue.submit_task(&task(1, &cause(number))).await.unwrap();
    }
    let mut leases = queue.claim(&[task_type("echo")], "w", 2).await.unwrap();
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let before = redis.ask(&["DBSIZE"]);
    refused(&queue).await.unwrap_err();
    assert_eq!(redis.ask(&["DBSIZE"]), before, "a refused submit leaves nothing behind");
    let renewals = queue.renew(&leases).await.unwrap();
    assert_eq!(renewals, [Some(queue::work::Renewal::Renewed); 2]);
    leases.extend(queue.claim(&[task_type("echo")], "w", 2).await.unwrap());
    assert_eq!(leases.len(), 3, "what was accepted is worked on");
    for lease in leases {
        let stored = queue.store_result(lease, Finish::Done, TaskResult::success(json!(1))).await;
        assert_eq!(stored.unwrap(), Finished::Stored);
    }
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(matches!(refused(&queue).await.unwrap(), Submitted::New { .. }));
}

#[tokio::test]
async fn a_server_that_would_throw_tasks_away_is_refused_at_the_start() {
    let redis = TestRedis::start();
    redis.ask(&["CONFIG", "SET", "maxmemory", "1gb"]);
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let error = TaskQueue::connect(&redis.url(), config()).await.unwrap_err().to_string();
    assert!(error.contains("allkeys-lru") && error.contains("noeviction"), "{error}");
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    TaskQueue::connect(&redis.url(), config()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_does_no_harm() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let order = |memory: &str| drop(redis.ask(&["CONFIG", "SET", "maxmemory", memory]));
    all_is_answered_after(&queue, &slow(), || order("1"), || order("0"), Some(Refusal::Full)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_a_read_only_replica_for_a_time_does_no_harm() {
    let redis = TestRedis::start();
    let master = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    // It keeps its data while the master does not answer.
    master.freeze();
    let port = master.url().rsplit(':').next().unwrap().to_owned();
    let follow = |host: &str, port: &str| drop(redis.ask(&["REPLICAOF", host, port]));
    all_is_answered_after(
        &queue,
        &slow(),
        || follow("127.0.0.1", &port),
        || follow("NO", "ONE"),
        Some(Refusal::ReadOnly),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_save_does_no_harm() {
    let redis = TestRedis::start_durable();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    redis.ask(&["CONFIG", "SET", "save", "3600 1"]);
    let folder = redis.ask(&["CONFIG", "GET", "dir"]).lines().last().unwrap().to_owned();
    // A folder in place of the dump file makes saving fail.
    let file = Path::new(&folder).join("dump.rdb");
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("full"), "").unwrap();
    let fails = || drop(redis.ask(&["BGSAVE"]));
    let mended = || {
        std::fs::remove_dir_all(&file).unwrap();
        redis.ask(&["BGSAVE"]);
    };
    all_is_answered_after(&queue, &slow(), fails, mended, Some(Refusal::CannotSave)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_replicas_does_no_harm() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let order = |most: &str| drop(redis.ask(&["CONFIG", "SET", "min-replicas-to-write", most]));
    let refusal = Some(Refusal::TooFewReplicas);
    all_is_answered_after(&queue, &slow(), || order("1"), || order("0"), refusal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_lacks_a_command_for_a_time_does_no_harm() {
    for lacks in ["xadd", "zadd", "hset", "hincrby", "evalsha"] {
        let redis = TestRedis::start();
        redis.ask(&["ACL", "SETUSER", "w", "on", ">secret", "~*", "&*", "+@all"]);
        let url = redis.url().replace("redis://", "redis://w:secret@");
        let queue = TaskQueue::connect(&url, config()).await.unwrap();
        let order = |sign: &str| {
            redis.ask(&["ACL", "SETUSER", "w", &format!("{sign}{lacks}")]);
        };
        let refusal = Some(Refusal::Forbidden);
        all_is_answered_after(&queue, &slow(), || order("-"), || order("+"), refusal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_refused_before_its_first_write_when_the_user_lacks_its_last() {
    let redis = TestRedis::start();
    redis.ask(&["ACL", "SETUSER", "w", "on", ">secret", "~*", "&*", "+@all", "-zadd", "-rpush"]);
    let boss = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let url = redis.url().replace("redis://", "redis://w:secret@");
    let queue = TaskQueue::connect(&url, config()).await.unwrap();
    boss.submit_task(&task(1, "waits")).await.unwrap();
    queue.submit_task(&task(1, "refused")).await.unwrap_err();
    queue.claim(&[task_type("echo")], "w", 1).await.unwrap_err();
    queue::work::sweep(&queue).await.unwrap_err();
    let leases = boss.claim(&[task_type("echo")], "w", 9).await.unwrap();
    assert_eq!(leases.len(), 1, "the waiting task waits still, and the refused one is nowhere");
    let reason = TaskQueue::readiness(Some(&queue)).await.unwrap_err();
    assert!(reason.contains("NOPERM") && reason.contains("'RPUSH'"), "{reason}");
    boss.submit_task(&task(1, "refused")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_freezes_for_longer_than_a_lease_does_no_harm() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    all_is_answered_after(&queue, &slow(), || redis.freeze(), || redis.thaw(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_pauses_its_clients_writes_does_no_harm() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let pause = || drop(redis.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]));
    let go_on = || drop(redis.ask(&["CLIENT", "UNPAUSE"]));
    all_is_answered_after(&queue, &slow(), pause, go_on, None).await;
}

/// A server that was started by hand.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_its_data_for_longer_than_a_lease_does_no_harm() {
    let mut redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let worker = start(&queue, &slow(), "w", Duration::ZERO);
    for number in 0..TASKS {
        queue.submit_task(&task(1, &cause(number))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fill = "for n = 1, 3000 do redis.call('SET', 'junk' .. n, string.rep('x', 100)) end";
    redis.ask(&["EVAL", fill, "0"]);
    let folder = redis.ask(&["CONFIG", "GET", "dir"]).lines().last().unwrap().to_owned();
    let port = redis.url().rsplit(':').next().unwrap().to_owned();
    redis.ask(&["SAVE"]);
    redis.kill();
    // One millisecond for each key.
    let mut slowly = test_kit::redis_server();
    slowly.args(["--port", &port, "--bind", "127.0.0.1", "--dir", &folder, "--save", ""]);
    slowly.args(["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]);
    let server = Server(slowly.stdout(std::process::Stdio::null()).spawn().unwrap());
    eventually("that it loads", async || {
        let reason = TaskQueue::readiness(Some(&queue)).await.err()?;
        reason.contains("LOADING").then_some(())
    })
    .await;
    all_succeed(&queue).await;
    assert_eq!(counters(&queue).await, [], "nothing counts against a task");
    worker.stop().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_deadline_passes_because_of_an_outage() {
    let redis = TestRedis::start();
    let config = QueueConfig { time_to_live: Duration::from_millis(1_500), ..config() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    let waiting = task(1, "submitted before");
    queue.submit_task(&waiting).await.unwrap();
    queue::work::sweep(&queue).await.unwrap();
    redis.freeze();
    tokio::time::sleep(OUTAGE).await;
    redis.thaw();
    let swept = eventually("a sweep", async || queue::work::sweep(&queue).await.ok()).await;
    assert_eq!(swept.expired, 0);
    let lease = queue.claim(&[task_type("echo")], "w", 1).await.unwrap().remove(0);
    assert!(lease.time_left() > Duration::from_secs(1), "{:?}", lease.time_left());
    drop(lease);
    // The extended deadline still ends the task.
    let result = eventually("the end", async || {
        queue::work::sweep(&queue).await.unwrap();
        queue.get_result(&waiting.task_id, Duration::ZERO).await.unwrap()
    })
    .await;
    assert_eq!(result.code(), Some("no-worker"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_in_an_outage_loses_its_task_one_lease_after_it() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    queue.submit_task(&task(1, "a")).await.unwrap();
    queue.claim(&[task_type("echo")], "dies", 1).await.unwrap();
    queue::work::sweep(&queue).await.unwrap();
    redis.freeze();
    tokio::time::sleep(OUTAGE).await;
    redis.thaw();
    let over = Instant::now();
    let again = eventually("a second claim", async || {
        queue::work::sweep(&queue).await.ok();
        queue.claim(&[task_type("echo")], "other", 1).await.ok()?.pop()
    })
    .await;
    assert_eq!(again.crashes, 1, "it was really dead");
    let after = over.elapsed();
    assert!((config().lease..config().lease * 3).contains(&after), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unstored_results_keep_their_worker_from_claiming_more() {
    let redis = TestRedis::start();
    redis.ask(&["ACL", "SETUSER", "w", "on", ">secret", "~*", "&*", "+@all"]);
    let url = redis.url().replace("redis://", "redis://w:secret@");
    let boss = TaskQueue::connect(&redis.url(), config()).await.unwrap();
    let queue = TaskQueue::connect(&url, config()).await.unwrap();
    // Only `finish.lua` needs this command.
    redis.ask(&["ACL", "SETUSER", "w", "-xadd"]);
    let echo = Echo::new(&["echo"], Duration::ZERO);
    let worker = start(&queue, &echo, "w", Duration::ZERO);
    for number in 0..30 {
        boss.submit_task(&task(1, &cause(number))).await.unwrap();
    }
    tokio::time::sleep(OUTAGE).await;
    // Four slots, and those that were free when the first result was refused.
    let begun = echo.started.load(Ordering::SeqCst);
    assert!((1..=8).contains(&begun), "{begun} tasks were begun");
    redis.ask(&["ACL", "SETUSER", "w", "+xadd"]);
    for number in 0..30 {
        let id = task(1, &cause(number)).task_id;
        let result = boss.get_result(&id, Duration::from_secs(10)).await.unwrap();
        assert!(result.unwrap().success);
    }
    assert_eq!(counters(&boss).await, []);
    assert_eq!(echo.started.load(Ordering::SeqCst), 30, "none ran twice");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_node_of_a_cluster_refuses_does_no_harm() {
    let cluster = TestCluster::start().await;
    let queue = TaskQueue::connect(&cluster.url(), config()).await.unwrap();
    let key = queue.keys().data(&lane());
    let node = cluster.owner(&key);
    let order = |command: &[&str]| drop(cluster.ask(node, command));
    let order: Order<'_> = &order;
    let echo = slow();
    all_is_answered_after(
        &queue,
        &echo,
        || order(&["CONFIG", "SET", "maxmemory", "1"]),
        || order(&["CONFIG", "SET", "maxmemory", "0"]),
        Some(Refusal::Full),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_node_of_a_cluster_wants_more_replicas_does_no_harm() {
    let cluster = TestCluster::start().await;
    let queue = TaskQueue::connect(&cluster.url(), config()).await.unwrap();
    let node = cluster.owner(&queue.keys().data(&lane()));
    let order = |most| drop(cluster.ask(node, &["CONFIG", "SET", "min-replicas-to-write", most]));
    let refusal = Some(Refusal::TooFewReplicas);
    all_is_answered_after(&queue, &slow(), || order("5"), || order("0"), refusal).await;
}
