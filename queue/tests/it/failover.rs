//! Redis fails over, moves keys or freezes: every accepted task is answered.

use std::time::Duration;

use queue::{Lane, QueueConfig, TaskQueue};
use test_kit::{TestCluster, TestRedis, TestSentinel};
use tokio_util::sync::CancellationToken;

use crate::support::{eventually, quick, task, task_type};
use crate::worker::{Echo, Running, start};

/// Longest wait for a result: a failover takes some seconds on a busy machine.
const RESULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A worker, and a submitter that goes on while something happens to Redis.
struct Load {
    queue: TaskQueue,
    worker: Running,
    submitting: tokio::task::JoinHandle<usize>,
    stop: CancellationToken,
    resubmitting: tokio::task::JoinHandle<()>,
}

impl Load {
    async fn begin(url: &str) -> Self {
        let config = QueueConfig {
            time_to_live: Duration::from_secs(90),
            user_cap: 100_000,
            // As in production: a failover takes longer than the suite's short leases.
            lease: Duration::from_secs(6),
            renew_every: Duration::from_secs(2),
            ..quick()
        };
        let queue = TaskQueue::connect(url, config).await.unwrap();
        let echo = Echo::new(&["echo"], Duration::from_millis(5));
        let worker = start(&queue, &echo, "w", Duration::from_secs(5));
        let stop = CancellationToken::new();
        let resubmitting = tokio::spawn(queue::submit::confirm_until(queue.clone(), stop.clone()));
        let submitting = tokio::spawn(submit_until(queue.clone(), stop.clone()));
        let load = Self { queue, worker, submitting, stop, resubmitting };
        load.goes_on("work at the start").await;
        load
    }

    /// Waits until a task that is submitted from now on is answered.
    async fn goes_on(&self, when: &str) {
        let probe = task(2, when);
        let submitted = eventually(when, async || self.queue.submit_task(&probe).await.ok()).await;
        drop(submitted);
        eventually(when, async || {
            self.queue.get_result(&probe.task_id, RESULT_TIMEOUT).await.ok()?
        })
        .await;
    }

    /// Every accepted task has a result.
    async fn all_are_answered(self) {
        // Long stop after the trouble that a loss is seen.
        self.goes_on("work at the end").await;
        self.stop.cancel();
        let count = self.submitting.await.unwrap();
        self.resubmitting.await.unwrap();
        // Finds what the last check in the background missed.
        eventually("a last check", async || self.queue.confirm_recent().await.ok()).await;
        for n in 0..count {
            let id = question(n).task_id;
            let answer = eventually("a result", async || {
                self.queue.get_result(&id, RESULT_TIMEOUT).await.ok()
            });
            assert!(answer.await.unwrap_or_else(|| panic!("task {n} of {count} is lost")).success);
        }
        self.worker.stop().await;
    }
}

fn question(n: usize) -> queue::Task {
    task(1, &format!("question {n}"))
}

/// Submits one task after the other, each until it is accepted. Returns their number.
async fn submit_until(queue: TaskQueue, stop: CancellationToken) -> usize {
    let mut count = 0;
    while !stop.is_cancelled() {
        let task = question(count);
        while queue.submit_task(&task).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    count
}

/// A key in the slot of the test's tasks.
fn key() -> String {
    queue::Keys::default().queue(&Lane::whole(&task_type("echo")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_dies_and_another_dies_after_it() {
    let mut cluster = TestCluster::start().await;
    let load = Load::begin(&cluster.url()).await;
    for _ in 0..2 {
        let old = cluster.owner(&key());
        cluster.kill(old);
        cluster.wait_for_owner_change(&key(), old).await;
        load.goes_on(&format!("work after the death of node {old}")).await;
        cluster.revive(old);
        cluster.settled().await;
    }
    load.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_freezes_and_comes_back_as_a_replica() {
    let cluster = TestCluster::start().await;
    let load = Load::begin(&cluster.url()).await;
    let old = cluster.owner(&key());
    cluster.freeze(old);
    cluster.wait_for_owner_change(&key(), old).await;
    load.goes_on("work while the old master is frozen").await;
    cluster.thaw(old);
    cluster.settled().await;
    load.all_are_answered().await;
}

/// A lane on another node than `key()`.
fn elsewhere(cluster: &TestCluster) -> Lane {
    let owner = cluster.owner(&key());
    let lanes = ('a'..='z').map(|letter| Lane::whole(&task_type(&format!("other_{letter}"))));
    let on_another = |lane: &Lane| cluster.owner(&queue::Keys::default().queue(lane)) != owner;
    lanes.into_iter().find(on_another).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_of_other_nodes_go_on_while_one_node_is_silent() {
    let cluster = TestCluster::start().await;
    let other = elsewhere(&cluster).task_type().clone();
    let load = Load::begin(&cluster.url()).await;
    let echo = Echo::new(&[other.as_str()], Duration::ZERO);
    let worker = start(&load.queue, &echo, "other", Duration::from_secs(5));
    let silent = cluster.owner(&key());
    let replica = cluster.replica_of(silent);
    for n in 0..20 {
        if n == 1 {
            cluster.freeze(silent);
            cluster.freeze(replica);
        }
        let task = queue::Task::new(other.clone(), 3, serde_json::Map::new());
        let what = format!("task {n} of a lane elsewhere");
        eventually(&what, async || load.queue.submit_task(&task).await.ok()).await;
        let result = load.queue.get_result(&task.task_id, RESULT_TIMEOUT).await.unwrap();
        assert!(result.is_some_and(|result| result.success), "{what}");
        // Long enough that commands to the silent node time out meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    cluster.thaw(silent);
    cluster.thaw(replica);
    worker.stop().await;
    load.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_cluster_takes_over_by_order() {
    let cluster = TestCluster::start().await;
    let load = Load::begin(&cluster.url()).await;
    cluster.fail_over(&key()).await;
    cluster.settled().await;
    load.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_moves_under_work() {
    let cluster = TestCluster::start().await;
    let load = Load::begin(&cluster.url()).await;
    let from = cluster.owner(&key());
    let to = (from + 1) % 3;
    cluster.begin_moving_slot(&key(), to);
    // The keys are on two nodes now: a command that needs both gets TRYAGAIN.
    cluster.move_key(&key(), to);
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.finish_moving_slot(&key(), to).await;
    load.goes_on("work on the other node").await;
    cluster.move_slot(&key(), from).await;
    load.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_failover_lost_is_repeated() {
    let mut cluster = TestCluster::start().await;
    let queue = TaskQueue::connect(&cluster.url(), quick()).await.unwrap();
    queue.confirm_recent().await.unwrap();
    queue.submit_task(&task(1, "seen by the replica")).await.unwrap();
    let old = cluster.owner(&key());
    let replica = cluster.replica_of(old);
    cluster.replicated(old).await;
    // A frozen replica would later read what its sockets have received.
    cluster.freeze(replica);
    cluster.ask(old, &["CLIENT", "KILL", "TYPE", "replica"]);
    for n in 0..3 {
        queue.submit_task(&task(1, &format!("unseen {n}"))).await.unwrap();
    }
    cluster.kill(old);
    cluster.thaw(replica);
    cluster.wait_for_owner_change(&key(), old).await;
    let lost = eventually("the new master", async || queue.confirm_recent().await.ok()).await;
    assert_eq!(lost, 3);
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::from_secs(1));
    for cause in ["seen by the replica", "unseen 0", "unseen 1", "unseen 2"] {
        let result = queue.get_result(&task(1, cause).task_id, RESULT_TIMEOUT).await.unwrap();
        assert!(result.expect("an answer").success, "{cause}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_sentinel_watches_dies() {
    let mut sentinel = TestSentinel::start().await;
    let load = Load::begin(&sentinel.url()).await;
    let old = sentinel.master();
    sentinel.kill_master();
    sentinel.wait_for_failover(old).await;
    load.goes_on("work on the new master").await;
    sentinel.revive(old);
    sentinel.settled().await;
    load.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_sentinel_watches_freezes_and_one_sentinel_is_dead() {
    let mut sentinel = TestSentinel::start().await;
    let load = Load::begin(&sentinel.url()).await;
    let old = sentinel.master();
    sentinel.kill_sentinel(0);
    sentinel.freeze_master();
    sentinel.wait_for_failover(old).await;
    load.goes_on("work while the old master is frozen").await;
    // For a moment both act as master.
    sentinel.thaw(old);
    load.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_freezes_cuts_its_connections_and_is_read_only_for_a_while() {
    let redis = TestRedis::start();
    let load = Load::begin(&redis.url()).await;
    redis.freeze();
    tokio::time::sleep(Duration::from_secs(4)).await;
    redis.thaw();
    load.goes_on("work after the freeze").await;
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    load.goes_on("work after the cut").await;
    // A replica without a master replies READONLY, as an old master does after a failover.
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    load.goes_on("work when it can be written again").await;
    load.all_are_answered().await;
}
