//! Redis fails over, moves keys, freezes: what was accepted is answered.

use std::time::Duration;

use queue::{Lane, QueueConfig, TaskQueue};
use test_kit::{TestCluster, TestRedis, TestSentinel};
use tokio_util::sync::CancellationToken;

use crate::support::{eventually, quick, task, task_type};
use crate::worker::{Echo, Running, start};

/// How long somebody waits for an answer here: a failover of some seconds, on a busy machine.
const PATIENT: Duration = Duration::from_secs(60);

/// A worker, and somebody who asks again and again while something happens to Redis.
struct Asked {
    queue: TaskQueue,
    worker: Running,
    asking: tokio::task::JoinHandle<usize>,
    enough: CancellationToken,
    confirming: tokio::task::JoinHandle<()>,
}

impl Asked {
    async fn begin(url: &str) -> Self {
        let config = QueueConfig {
            time_to_live: Duration::from_secs(90),
            user_cap: 100_000,
            // As long as in earnest: a failover takes longer than the suite's short leases.
            lease: Duration::from_secs(6),
            renew_every: Duration::from_secs(2),
            ..quick()
        };
        let queue = TaskQueue::connect(url, config).await.unwrap();
        let echo = Echo::new(&["echo"], Duration::from_millis(5));
        let worker = start(&queue, &echo, "w", Duration::from_secs(5));
        let enough = CancellationToken::new();
        let confirming = tokio::spawn(queue::submit::confirm_until(queue.clone(), enough.clone()));
        let asking = tokio::spawn(ask_until(queue.clone(), enough.clone()));
        let asked = Self { queue, worker, asking, enough, confirming };
        asked.goes_on("work at the start").await;
        asked
    }

    /// Waits until a task that is submitted from now on is answered.
    async fn goes_on(&self, when: &str) {
        let probe = task(2, when);
        let submitted = eventually(when, async || self.queue.submit_task(&probe).await.ok()).await;
        drop(submitted);
        eventually(when, async || self.queue.get_result(&probe.task_id, PATIENT).await.ok()?).await;
    }

    /// Everyone who was told that their task is accepted gets an answer.
    async fn all_are_answered(self) {
        // Long enough after the trouble that a loss is seen.
        self.goes_on("work at the end").await;
        self.enough.cancel();
        let count = self.asking.await.unwrap();
        self.confirming.await.unwrap();
        // What the last look did not see is seen now.
        eventually("a last look", async || self.queue.confirm_recent().await.ok()).await;
        for n in 0..count {
            let id = question(n).task_id;
            let answer =
                eventually("a result", async || self.queue.get_result(&id, PATIENT).await.ok());
            assert!(answer.await.unwrap_or_else(|| panic!("task {n} of {count} is lost")).success);
        }
        self.worker.stop().await;
    }
}

fn question(n: usize) -> queue::Task {
    task(1, &format!("question {n}"))
}

/// Submits one task after the other, each until it is accepted; gives how many.
async fn ask_until(queue: TaskQueue, enough: CancellationToken) -> usize {
    let mut count = 0;
    while !enough.is_cancelled() {
        let asked = question(count);
        while queue.submit_task(&asked).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    count
}

/// A key that lies where the tasks of the test lie.
fn key() -> String {
    queue::Keys::default().queue(&Lane::whole(&task_type("echo")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_dies_and_another_dies_after_it() {
    let mut cluster = TestCluster::start().await;
    let asked = Asked::begin(&cluster.url()).await;
    for _ in 0..2 {
        let old = cluster.owner(&key());
        cluster.kill(old);
        cluster.wait_for_owner_change(&key(), old).await;
        asked.goes_on(&format!("work after the death of node {old}")).await;
        cluster.revive(old);
        cluster.settled().await;
    }
    asked.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_a_cluster_freezes_and_comes_back_as_a_replica() {
    let cluster = TestCluster::start().await;
    let asked = Asked::begin(&cluster.url()).await;
    let old = cluster.owner(&key());
    cluster.freeze(old);
    cluster.wait_for_owner_change(&key(), old).await;
    asked.goes_on("work while the old master is frozen").await;
    cluster.thaw(old);
    cluster.settled().await;
    asked.all_are_answered().await;
}

/// A lane on another node than `key()`.
fn elsewhere(cluster: &TestCluster) -> Lane {
    let away = cluster.owner(&key());
    let lanes = ('a'..='z').map(|letter| Lane::whole(&task_type(&format!("other_{letter}"))));
    let on_another = |lane: &Lane| cluster.owner(&queue::Keys::default().queue(lane)) != away;
    lanes.into_iter().find(on_another).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_of_other_nodes_go_on_while_one_node_is_silent() {
    let cluster = TestCluster::start().await;
    let other = elsewhere(&cluster).task_type().clone();
    let asked = Asked::begin(&cluster.url()).await;
    let echo = Echo::new(&[other.as_str()], Duration::ZERO);
    let worker = start(&asked.queue, &echo, "other", Duration::from_secs(5));
    let silent = cluster.owner(&key());
    let replica = cluster.replica_of(silent);
    for n in 0..20 {
        if n == 1 {
            cluster.freeze(silent);
            cluster.freeze(replica);
        }
        let task = queue::Task::new(other.clone(), 3, serde_json::Map::new());
        let what = format!("task {n} of a lane elsewhere");
        eventually(&what, async || asked.queue.submit_task(&task).await.ok()).await;
        let result = asked.queue.get_result(&task.task_id, PATIENT).await.unwrap();
        assert!(result.is_some_and(|result| result.success), "{what}");
        // So that commands to the silent node run into their time limit meanwhile.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    cluster.thaw(silent);
    cluster.thaw(replica);
    worker.stop().await;
    asked.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_cluster_takes_over_by_order() {
    let cluster = TestCluster::start().await;
    let asked = Asked::begin(&cluster.url()).await;
    cluster.fail_over(&key()).await;
    cluster.settled().await;
    asked.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_moves_under_work() {
    let cluster = TestCluster::start().await;
    let asked = Asked::begin(&cluster.url()).await;
    let from = cluster.owner(&key());
    let to = (from + 1) % 3;
    cluster.begin_moving_slot(&key(), to);
    // Half of the keys are here and half are there: what needs both is told to try again.
    cluster.move_key(&key(), to);
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.finish_moving_slot(&key(), to).await;
    asked.goes_on("work on the other node").await;
    cluster.move_slot(&key(), from).await;
    asked.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_failover_lost_is_made_up_for() {
    let mut cluster = TestCluster::start().await;
    let queue = TaskQueue::connect(&cluster.url(), quick()).await.unwrap();
    queue.confirm_recent().await.unwrap();
    queue.submit_task(&task(1, "seen by the replica")).await.unwrap();
    let old = cluster.owner(&key());
    let replica = cluster.replica_of(old);
    cluster.replicated(old).await;
    // Frozen alone it would still read later what its machine received for it.
    cluster.freeze(replica);
    cluster.ask(old, &["CLIENT", "KILL", "TYPE", "replica"]);
    for n in 0..3 {
        queue.submit_task(&task(1, &format!("unseen {n}"))).await.unwrap();
    }
    cluster.kill(old);
    cluster.thaw(replica);
    cluster.wait_for_owner_change(&key(), old).await;
    let lost =
        eventually("a look at the new master", async || queue.confirm_recent().await.ok()).await;
    assert_eq!(lost, 3);
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::from_secs(1));
    for cause in ["seen by the replica", "unseen 0", "unseen 1", "unseen 2"] {
        let result = queue.get_result(&task(1, cause).task_id, PATIENT).await.unwrap();
        assert!(result.expect("an answer").success, "{cause}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_sentinel_watches_dies() {
    let mut sentinel = TestSentinel::start().await;
    let asked = Asked::begin(&sentinel.url()).await;
    let old = sentinel.master();
    sentinel.kill_master();
    sentinel.wait_for_failover(old).await;
    asked.goes_on("work on the new master").await;
    sentinel.revive(old);
    sentinel.settled().await;
    asked.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_sentinel_watches_freezes_and_one_sentinel_is_dead() {
    let mut sentinel = TestSentinel::start().await;
    let asked = Asked::begin(&sentinel.url()).await;
    let old = sentinel.master();
    sentinel.kill_sentinel(0);
    sentinel.freeze_master();
    sentinel.wait_for_failover(old).await;
    asked.goes_on("work while the old master is frozen").await;
    // For a moment two take themselves for the master.
    sentinel.thaw(old);
    asked.all_are_answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_freezes_cuts_its_connections_and_is_read_only_for_a_while() {
    let redis = TestRedis::start();
    let asked = Asked::begin(&redis.url()).await;
    redis.freeze();
    tokio::time::sleep(Duration::from_secs(4)).await;
    redis.thaw();
    asked.goes_on("work after the freeze").await;
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    asked.goes_on("work after the cut").await;
    // A replica of nobody: READONLY, as an old master says after a failover.
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    asked.goes_on("work when it can be written again").await;
    asked.all_are_answered().await;
}
