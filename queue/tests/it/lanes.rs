//! When a worker asks its lanes for tasks, and what it holds before it has room.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use queue::{
    Finish, Handled, Lease, OfferedPlugin, QueueConfig, SubmitOptions, Task, TaskHandler, TaskId,
    TaskQueue, TaskResult, TaskStatus,
};
use test_kit::TestRedis;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::{eventually, quick, runs, task, task_type, with_config};
use crate::worker::{Echo, start};

/// Answers at once, but for tasks of a `cause` that begins with `slow`: they wait until they may end.
struct Gate {
    offered: watch::Sender<Vec<OfferedPlugin>>,
    open: watch::Sender<bool>,
    fast: AtomicUsize,
}

impl Gate {
    fn new(types: &[&str]) -> Arc<Self> {
        let offered = Echo::new(types, Duration::ZERO).plugins().borrow().clone();
        Arc::new(Self {
            offered: watch::Sender::new(offered),
            open: watch::Sender::new(false),
            fast: AtomicUsize::new(0),
        })
    }
}

impl TaskHandler for Gate {
    async fn handle(&self, lease: &Lease, _: CancellationToken) -> Handled {
        let slow = lease.task.params.get("cause").and_then(|cause| cause.as_str());
        if slow.is_some_and(|cause| cause.starts_with("slow")) {
            self.open.subscribe().wait_for(|open| *open).await.unwrap();
        } else {
            self.fast.fetch_add(1, Ordering::SeqCst);
        }
        Handled::new(TaskResult::success(1.into()), Finish::Done)
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }
}

fn generous() -> QueueConfig {
    QueueConfig { user_cap: 10_000, max_pending: 100_000, ..quick() }
}

async fn submit(queue: &TaskQueue, causes: impl Iterator<Item = String>) -> Vec<TaskId> {
    let tasks: Vec<(Task, SubmitOptions)> = causes
        .zip(0_i64..)
        .map(|(cause, user)| (task(user, &cause), SubmitOptions::default()))
        .collect();
    for batch in tasks.chunks(200) {
        for accepted in queue.submit_tasks(batch).await.unwrap() {
            accepted.unwrap();
        }
    }
    tasks.into_iter().map(|(task, _)| task.task_id).collect()
}

async fn all_have_ended(queue: &TaskQueue, ids: &[TaskId]) {
    for id in ids {
        eventually("each task has ended", async || {
            (queue.task_status(id).await.unwrap() == Some(TaskStatus::Completed)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_behind_slow_tasks_is_given_to_other_workers() {
    let (_redis, queue) = with_config(generous()).await;
    let handler = Gate::new(&["echo"]);
    // The worker learns that the type is fast, and reads ahead.
    let fast = submit(&queue, (0..400).map(|n| format!("fast {n}"))).await;
    let first = start(&queue, &handler, "first", Duration::MAX);
    all_have_ended(&queue, &fast).await;
    // One call claims four slow ones for its four slots, and those behind them.
    let causes = (0..4).map(|n| format!("slow {n}")).chain((0..40).map(|n| format!("behind {n}")));
    let behind = submit(&queue, causes).await.split_off(4);
    let active = async || {
        let stats = queue.stats(Duration::from_secs(60)).await.unwrap();
        stats.iter().map(|stats| stats.active).sum::<u64>()
    };
    eventually("the slow ones run", async || (active().await == 4).then_some(())).await;
    let second = start(&queue, &Gate::new(&["echo"]), "second", Duration::ZERO);
    all_have_ended(&queue, &behind).await;
    assert_eq!(active().await, 4, "the slow ones still run");
    handler.open.send_replace(true);
    first.stop().await;
    second.stop().await;
    assert_eq!(active().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_lane_does_not_keep_another_waiting() {
    let (_redis, queue) = with_config(generous()).await;
    let busy = submit(&queue, (0..20_000).map(|n| format!("fast {n}"))).await;
    let handler = Gate::new(&["echo", "other"]);
    let worker = start(&queue, &handler, "w", Duration::from_secs(5));
    eventually("the worker is busy", async || {
        (handler.fast.load(Ordering::SeqCst) > 500).then_some(())
    })
    .await;
    let other = Task::new(task_type("other"), 7, serde_json::Map::new());
    queue.submit_task(&other).await.unwrap();
    let result = queue.get_result(&other.task_id, Duration::from_secs(15)).await.unwrap();
    assert!(result.unwrap().success);
    let done = handler.fast.load(Ordering::SeqCst);
    assert!(done < busy.len(), "it came after all {done}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_costs_does_not_grow_with_the_types_that_are_served() {
    let calls = async |types: usize| {
        // Without sweeps and renewals, which come by the clock.
        let hour = Duration::from_secs(3_600);
        let config =
            QueueConfig { sweep_every: hour, renew_every: hour, lease: hour, ..generous() };
        let (_redis, queue) = with_config(config).await;
        let ids = submit(&queue, (0..2_000).map(|n| format!("fast {n}"))).await;
        let names: BTreeSet<String> = (1..types).map(|n| format!("other_{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["echo"]).collect();
        let mut connection = queue.connection();
        let () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut connection).await.unwrap();
        let worker = start(&queue, &Gate::new(&names), "w", Duration::ZERO);
        eventually("all have ended", async || {
            let left: u64 = redis::cmd("HLEN")
                .arg(queue.keys().data(&task(1, "any").lane()))
                .query_async(&mut queue.connection())
                .await
                .unwrap();
            (left == 0).then_some(())
        })
        .await;
        let info: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
        worker.stop().await;
        let line = info.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap();
        let calls = line.split("calls=").nth(1).unwrap().split(',').next().unwrap();
        (calls.parse::<usize>().unwrap(), ids.len())
    };
    if std::env::var_os(crate::support::URL).is_some() {
        return; // A server that others use counts their calls as well.
    }
    let (one, tasks) = calls(1).await;
    let (hundred, _) = calls(100).await;
    assert!(one < tasks / 10, "{one} calls for {tasks} tasks");
    // Each lane is asked once at the start.
    assert!(hundred < one + 100 + tasks / 10, "{hundred} calls with 100 types, {one} with one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_asks_no_more_often_for_many_types() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), quick()).await.unwrap();
    let names: Vec<String> = (0..100).map(|n| format!("type_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let worker = start(&queue, &Gate::new(&names), "w", Duration::ZERO);
    eventually("all types are known", async || {
        (queue.task_types().await.unwrap().len() == 100).then_some(())
    })
    .await;
    // At the start each lane is asked once.
    eventually("twenty sweeps with fewer than three calls each", async || {
        redis.ask(&["CONFIG", "RESETSTAT"]);
        // The list of types is read once in each sweep.
        let sweeps =
            eventually("sweeps", async || Some(runs(&redis, "smembers")).filter(|n| *n >= 20))
                .await;
        (runs(&redis, "evalsha") < sweeps * 3).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_cannot_store_its_results_leaves_room_for_others() {
    let redis = TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), generous()).await.unwrap();
    let handler = Gate::new(&["echo", "other"]);
    let worker = start(&queue, &handler, "w", Duration::ZERO);
    // The users' hash cannot be read: no end of the first type can be stored.
    let users = queue.keys().users(&task(1, "any").lane());
    let blocked = submit(&queue, (0..200).map(|n| format!("slow {n}"))).await;
    eventually("they run", async || {
        (queue.task_status(&blocked[0]).await.unwrap() == Some(TaskStatus::Processing))
            .then_some(())
    })
    .await;
    redis.ask(&["RENAME", &users, "aside"]);
    redis.ask(&["SET", &users, "not a hash"]);
    handler.open.send_replace(true);
    let other = Task::new(task_type("other"), 7, serde_json::Map::new());
    queue.submit_task(&other).await.unwrap();
    let result = queue.get_result(&other.task_id, Duration::from_secs(15)).await.unwrap();
    assert!(result.unwrap().success);
    redis.ask(&["DEL", &users]);
    redis.ask(&["RENAME", "aside", &users]);
    all_have_ended(&queue, &blocked).await;
    worker.stop().await;
}
