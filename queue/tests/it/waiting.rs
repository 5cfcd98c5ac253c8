//! Waiting for results: how it is told, and what it costs.

use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use queue::{
    DistributedWorkerRegistry, Finish, QueueConfig, SubmitOptions, Task, TaskQueue, TaskResult,
};
use serde_json::json;
use test_kit::TestRedis;

use crate::support::{eventually, quick, runs, task, task_type};
use crate::worker::{Echo, start};

const PATIENCE: Duration = Duration::from_secs(30);

async fn private() -> (TestRedis, TaskQueue) {
    let redis = TestRedis::start();
    let config = QueueConfig { user_cap: 10_000, max_pending: 10_000, ..quick() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    (redis, queue)
}

fn silent(cause: &str) -> Task {
    Task { reply_to: None, ..task(1, cause) }
}

fn connections(redis: &TestRedis) -> usize {
    redis.ask(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("id=")).count()
}

fn channels(redis: &TestRedis) -> Vec<String> {
    redis.ask(&["PUBSUB", "CHANNELS"]).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_wait_share_one_connection() {
    let (redis, queue) = private().await;
    let other = TaskQueue::connect(&redis.url(), queue.config().clone()).await.unwrap();
    let before = connections(&redis);
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let theirs: Vec<Task> = (0..500).map(|n| silent(&format!("theirs {n}"))).collect();
    let submitted: Vec<_> =
        theirs.iter().map(|task| (task.clone(), SubmitOptions::default())).collect();
    for batch in submitted.chunks(100) {
        other.submit_tasks(batch).await.unwrap();
    }
    let kept = queue.clone();
    let waiting = tokio::spawn(async move {
        let ours: Vec<Task> = (0..500).map(|n| silent(&format!("ours {n}"))).collect();
        let executed = join_all(ours.iter().map(|task| registry.execute_task(task, PATIENCE)));
        let read = join_all(theirs.iter().map(|task| queue.get_result(&task.task_id, PATIENCE)));
        let (executed, read) = tokio::join!(executed, read);
        let answered = |answers: Vec<Result<Option<TaskResult>, _>>| {
            answers.into_iter().filter(|answer| matches!(answer, Ok(Some(_)))).count()
        };
        (answered(executed), answered(read))
    });
    eventually("all wait", async || {
        let waits = channels(&redis).len() == 501;
        (waits && other.stats(PATIENCE).await.ok()?.first()?.ready == 1_000).then_some(())
    })
    .await;
    let used = connections(&redis) - before;
    assert_eq!(used, 1, "the subscription, beside the connection for commands");
    let worker = start(&other, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    assert_eq!(waiting.await.unwrap(), (500, 500));
    worker.stop().await;
    eventually("only the process' own channel is left", async || {
        (channels(&redis).len() == 1).then_some(())
    })
    .await;
    drop(kept);
    eventually("the subscription ends with its last user", async || {
        channels(&redis).is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_has_the_result_unless_it_is_large() {
    let (redis, queue) = private().await;
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    let registry = DistributedWorkerRegistry::new(queue.clone());
    // The first waits until the subscription has begun.
    registry.execute_task(&silent("first"), PATIENCE).await.unwrap().unwrap();
    redis.ask(&["CONFIG", "RESETSTAT"]);
    for n in 0..20 {
        let cause = format!("small {n}");
        let result = registry.execute_task(&silent(&cause), PATIENCE).await.unwrap().unwrap();
        assert_eq!(result.data["params"]["cause"], cause);
    }
    // A slow machine may look once or twice.
    assert!(runs(&redis, "get") < 10, "{} results were read from their keys", runs(&redis, "get"));
    let large = "x".repeat(10_000);
    let result = registry.execute_task(&silent(&large), PATIENCE).await.unwrap().unwrap();
    assert_eq!(result.data["params"]["cause"], large);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_where_nobody_listens() {
    let (redis, queue) = private().await;
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    let asked: Vec<Task> = (0..30).map(|n| task(n, &format!("a {n}"))).collect();
    for task in &asked {
        queue.submit_task(task).await.unwrap();
    }
    for task in &asked {
        eventually("the task has ended", async || {
            queue.get_result(&task.task_id, Duration::ZERO).await.unwrap()
        })
        .await;
    }
    assert_eq!(runs(&redis, "publish"), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_to_a_tasks_own_channel_is_told() {
    let (redis, queue) = private().await;
    let client = redis::Client::open(redis.url()).unwrap();
    let prefix = queue.keys().done_channel_prefix();
    let mut by_name = client.get_async_pubsub().await.unwrap();
    // Many tasks end in one call, and one is listened to.
    let asked: Vec<Task> = (0..50).map(|n| task(1, &format!("a {n}"))).collect();
    by_name.subscribe(format!("{prefix}{}", asked[30].task_id)).await.unwrap();
    for task in &asked {
        queue.submit_task(task).await.unwrap();
    }
    let leases = queue.claim(&[task_type("echo")], "w", 50).await.unwrap();
    let ended: Vec<_> = leases
        .into_iter()
        .map(|lease| (lease, Finish::Done, TaskResult::success(json!(1))))
        .collect();
    queue.store_results(&ended).await.unwrap();
    let told = tokio::time::timeout(PATIENCE, by_name.on_message().next()).await.unwrap();
    assert_eq!(told.unwrap().get_payload::<String>().unwrap(), "completed");
    assert_eq!(runs(&redis, "publish"), 1);
    // A pattern is listened to as well, and an end by the sweep is told too.
    let mut by_pattern = client.get_async_pubsub().await.unwrap();
    by_pattern.psubscribe(format!("{prefix}*")).await.unwrap();
    let cancelled = task(1, "cancelled");
    queue.submit_task(&cancelled).await.unwrap();
    assert!(queue.cancel(&cancelled.task_id).await.unwrap());
    let told = tokio::time::timeout(PATIENCE, by_pattern.on_message().next()).await.unwrap();
    assert_eq!(told.unwrap().get_payload::<String>().unwrap(), "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_wait_for_one_task_and_one_may_give_up() {
    let (redis, queue) = private().await;
    let other = TaskQueue::connect(&redis.url(), queue.config().clone()).await.unwrap();
    let asked = silent("a");
    let id = &asked.task_id;
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let gives_up = Duration::from_millis(300);
    let work = async {
        tokio::time::sleep(gives_up * 2).await;
        start(&other, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO)
    };
    let (first, again, same, short, foreign, worker) = tokio::join!(
        registry.execute_task(&asked, PATIENCE),
        registry.execute_task(&asked, Duration::MAX),
        queue.get_result(id, PATIENCE),
        queue.get_result(id, gives_up),
        other.get_result(id, PATIENCE),
        work,
    );
    assert!(short.unwrap().is_none());
    for answer in [first, again, same, foreign] {
        assert_eq!(answer.unwrap().unwrap().data["params"]["cause"], "a");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_task_that_no_worker_takes_is_told_to_its_waiter() {
    let redis = TestRedis::start();
    let config = QueueConfig { time_to_live: Duration::from_millis(500), ..quick() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let asked = silent("nobody");
    let sweeping = async {
        eventually("the deadline passes", async || {
            let swept = queue::work::sweep(&queue).await.unwrap();
            (swept.expired == 1).then_some(())
        })
        .await;
        runs(&redis, "publish")
    };
    let (answer, published) = tokio::join!(registry.execute_task(&asked, PATIENCE), sweeping);
    assert_eq!(answer.unwrap().unwrap().code(), Some("no-worker"));
    assert_eq!(published, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_whose_keys_are_broken_does_not_keep_others_from_being_swept() {
    let (redis, queue) = private().await;
    let broken = Task::new(task_type("broken"), 1, serde_json::Map::new());
    queue.submit_task(&broken).await.unwrap();
    let sound = task(1, "a");
    queue.submit_task(&sound).await.unwrap();
    queue.claim(&[task_type("echo")], "dies", 1).await.unwrap();
    let delayed = queue.keys().delayed(&broken.lane());
    redis.ask(&["SET", &delayed, "not a sorted set"]);
    eventually("its lease is taken back", async || {
        let swept = queue::work::sweep(&queue).await;
        assert!(swept.is_err(), "the broken type is reported");
        queue.claim(&[task_type("echo")], "other", 1).await.unwrap().pop()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_types_than_one_call_takes_are_all_swept_though_the_list_of_types_breaks() {
    let (redis, queue) = private().await;
    let mut asked = Vec::new();
    for n in 0..150 {
        let task = Task::new(task_type(&format!("type_{n}")), 1, serde_json::Map::new());
        queue.submit_task(&task).await.unwrap();
        asked.push(task);
    }
    queue::work::sweep(&queue).await.unwrap();
    redis.ask(&["SET", &queue.keys().types(), "not a set"]);
    for task in &asked {
        queue.claim(std::slice::from_ref(&task.task_type), "dies", 1).await.unwrap();
    }
    eventually("all leases are taken back", async || {
        assert!(queue::work::sweep(&queue).await.is_err(), "the broken list is reported");
        (waiting(&queue, &asked).await == 150).then_some(())
    })
    .await;
}

/// How many tasks wait in their queues.
async fn waiting(queue: &TaskQueue, tasks: &[Task]) -> u64 {
    let mut pipe = redis::pipe();
    for task in tasks {
        pipe.cmd("ZCARD").arg(queue.keys().queue(&task.lane()));
    }
    let counts: Vec<u64> = pipe.query_async(&mut queue.connection()).await.unwrap();
    counts.iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_ask_for_listeners_tells_every_end() {
    let (redis, boss) = private().await;
    redis.ask(&["ACL", "SETUSER", "w", "on", ">secret", "~*", "&*", "+@all", "-pubsub"]);
    let url = redis.url().replace("redis://", "redis://w:secret@");
    let queue = TaskQueue::connect(&url, quick()).await.unwrap();
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    let asked = task(1, "a");
    let waiting = boss.get_result(&asked.task_id, PATIENCE);
    let submitting = boss.submit_task(&asked);
    let (answer, submitted) = tokio::join!(waiting, submitting);
    submitted.unwrap();
    assert!(answer.unwrap().unwrap().success);
    assert_eq!(runs(&redis, "publish"), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_tasks_are_taken_before_any_type_is_known() {
    let (redis, queue) = private().await;
    let worker = start(&queue, &Echo::new(&[], Duration::ZERO), "w", Duration::ZERO);
    redis.ask(&["RPUSH", &queue.keys().ingress(), "no task"]);
    eventually("it is rejected", async || {
        (redis.ask(&["XLEN", &queue.keys().ingress_rejected()]).trim() == "1").then_some(())
    })
    .await;
    worker.stop().await;
}
