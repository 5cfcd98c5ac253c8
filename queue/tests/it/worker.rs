//! The worker's loop, with a handler in place of plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use queue::{
    DistributedWorkerRegistry, FailureCode, Finish, Handled, Lease, OfferedPlugin, QueueConfig,
    TaskHandler, TaskQueue, TaskResult, TaskStatus, TaskType,
};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::{another, eventually, queue, quick, task, task_type, with_config};

pub(crate) struct Echo {
    offered: watch::Sender<Vec<OfferedPlugin>>,
    pub(crate) started: AtomicUsize,
    pub(crate) takes: Duration,
}

impl Echo {
    pub(crate) fn new(types: &[&str], takes: Duration) -> Arc<Self> {
        let plugin = OfferedPlugin {
            name: "echo".to_owned(),
            version: "1.0.0".to_owned(),
            digest: String::new(),
            task_types: types.iter().map(|name| task_type(name)).collect(),
            commands: Vec::new(),
        };
        let offered = watch::Sender::new(vec![plugin]);
        Arc::new(Self { offered, started: AtomicUsize::new(0), takes })
    }
}

impl TaskHandler for Echo {
    async fn handle(&self, lease: &Lease, cancelled: CancellationToken) -> Handled {
        self.started.fetch_add(1, Ordering::SeqCst);
        tokio::select! {
            () = tokio::time::sleep(self.takes) => {}
            () = cancelled.cancelled() => {
                let result = TaskResult::failure(FailureCode::Cancelled, "cancelled");
                return Handled::new(result, Finish::Cancelled);
            }
        }
        let result = TaskResult::success(json!({"params": lease.task.params}));
        Handled::new(result, Finish::Done)
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }
}

pub(crate) struct Running {
    shutdown: CancellationToken,
    joined: tokio::task::JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.joined.await.unwrap();
    }

    /// Stops as by SIGKILL: no task is finished or handed back.
    pub(crate) async fn kill(self) {
        self.joined.abort();
        let _ = self.joined.await;
    }
}

pub(crate) fn start<H: TaskHandler>(
    queue: &TaskQueue,
    handler: &Arc<H>,
    name: &str,
    drain: Duration,
) -> Running {
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let handler = Arc::clone(handler);
    let name = name.to_owned();
    let shutdown = CancellationToken::new();
    let stopping = shutdown.clone();
    let joined = tokio::spawn(async move {
        registry.process_tasks(handler, &name, 4, drain, stopping).await;
    });
    Running { shutdown, joined }
}

async fn wait_for(queue: &TaskQueue, cause: &str) -> TaskResult {
    let id = task(1, cause).task_id;
    queue.get_result(&id, Duration::from_secs(15)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_task_is_executed_and_its_result_returned() {
    let (_redis, queue) = queue().await;
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    let mut asked = task(1, "a");
    asked.reply_to = None;
    let registry = DistributedWorkerRegistry::new(queue.clone());
    let result = registry.execute_task(&asked, Duration::from_secs(15)).await.unwrap().unwrap();
    assert_eq!(result.data["params"]["cause"], "a");
    let workers = eventually("the worker's record", async || {
        Some(queue.workers().await.unwrap()).filter(|workers| !workers.is_empty())
    })
    .await;
    assert_eq!(workers[0].plugins[0].name, "echo");
    worker.stop().await;
    assert!(queue.workers().await.unwrap().is_empty());
}

#[tokio::test]
async fn only_offered_types_are_claimed() {
    let (_redis, queue) = queue().await;
    let worker = start(&queue, &Echo::new(&["other"], Duration::ZERO), "w", Duration::ZERO);
    queue.submit_task(&task(1, "nobody offers this")).await.unwrap();
    let mut offered = task(1, "somebody offers this");
    offered.task_type = task_type("other");
    offered.task_id = queue::TaskId::new(&queue::Lane::whole(&offered.task_type));
    queue.submit_task(&offered).await.unwrap();
    queue.get_result(&offered.task_id, Duration::from_secs(15)).await.unwrap().unwrap();
    let status = queue.task_status(&task(1, "nobody offers this").task_id).await.unwrap();
    assert_eq!(status, Some(TaskStatus::Pending));
    worker.stop().await;
}

#[tokio::test]
async fn a_stopping_worker_finishes_what_it_can_and_hands_the_rest_back_unharmed() {
    let (_redis, queue) = queue().await;
    let slow = Echo::new(&["echo"], Duration::from_millis(300));
    let first = start(&queue, &slow, "first", Duration::from_secs(10));
    queue.submit_task(&task(1, "finishes")).await.unwrap();
    eventually("the start", async || (slow.started.load(Ordering::SeqCst) == 1).then_some(()))
        .await;
    first.stop().await;
    assert!(queue.has_stopped("first").await.unwrap());
    let result = queue.get_result(&task(1, "finishes").task_id, Duration::ZERO).await.unwrap();
    assert!(result.unwrap().success);

    let endless = Echo::new(&["echo"], Duration::from_secs(600));
    let second = start(&queue, &endless, "second", Duration::from_millis(50));
    queue.submit_task(&task(1, "handed back")).await.unwrap();
    eventually("the start", async || (endless.started.load(Ordering::SeqCst) == 1).then_some(()))
        .await;
    second.stop().await;
    let lease = queue.claim(&[task_type("echo")], "third", 1).await.unwrap().remove(0);
    assert_eq!((lease.task.attempt, lease.crashes), (1, 0), "handing back uses no attempt");
}

#[tokio::test]
async fn a_killed_workers_task_runs_again_on_another_worker() {
    let (_redis, queue) = queue().await;
    let stuck = Echo::new(&["echo"], Duration::from_secs(600));
    let first = start(&queue, &stuck, "first", Duration::ZERO);
    queue.submit_task(&task(1, "a")).await.unwrap();
    eventually("the start", async || (stuck.started.load(Ordering::SeqCst) == 1).then_some(()))
        .await;
    first.kill().await;
    let second = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "second", Duration::ZERO);
    assert!(wait_for(&queue, "a").await.success);
    assert!(!queue.has_stopped("first").await.unwrap(), "it did not say that it stops");
    second.stop().await;
}

#[tokio::test]
async fn a_running_task_is_cancelled_within_two_seconds() {
    let (_redis, queue) = queue().await;
    let stuck = Echo::new(&["echo"], Duration::from_secs(600));
    let worker = start(&queue, &stuck, "w", Duration::ZERO);
    queue.submit_task(&task(1, "a")).await.unwrap();
    eventually("the start", async || (stuck.started.load(Ordering::SeqCst) == 1).then_some(()))
        .await;
    assert!(queue.cancel(&task(1, "a").task_id).await.unwrap());
    let result = queue.get_result(&task(1, "a").task_id, Duration::from_secs(2)).await.unwrap();
    assert_eq!(result.unwrap().code(), Some("cancelled"));
    worker.stop().await;
}

#[tokio::test]
async fn a_type_that_is_offered_later_is_claimed_from_then_on() {
    let (_redis, queue) = queue().await;
    let handler = Echo::new(&[], Duration::ZERO);
    let worker = start(&queue, &handler, "w", Duration::ZERO);
    queue.submit_task(&task(1, "a")).await.unwrap();
    let types: Vec<TaskType> = vec![task_type("echo")];
    handler.offered.send_modify(|plugins| plugins[0].task_types = types);
    assert!(wait_for(&queue, "a").await.success);
    worker.stop().await;
}

#[tokio::test]
async fn an_idle_worker_is_woken_for_every_task_without_a_sweep() {
    let config = QueueConfig { sweep_every: Duration::from_secs(3_600), ..quick() };
    let (_redis, queue) = with_config(config).await;
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    for n in 0..30 {
        queue.submit_task(&task(1, &n.to_string())).await.unwrap();
        assert!(wait_for(&queue, &n.to_string()).await.success);
    }
    worker.stop().await;
}

/// Panics at its first task.
struct Panics(Arc<Echo>);

impl TaskHandler for Panics {
    async fn handle(&self, lease: &Lease, cancelled: CancellationToken) -> Handled {
        assert!(lease.crashes > 0, "the first attempt panics");
        self.0.handle(lease, cancelled).await
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.0.plugins()
    }
}

#[tokio::test]
async fn a_handler_that_panics_loses_its_lease_and_the_task_runs_again() {
    let (_redis, queue) = queue().await;
    let handler = Arc::new(Panics(Echo::new(&["echo"], Duration::ZERO)));
    let worker = start(&queue, &handler, "w", Duration::ZERO);
    queue.submit_task(&task(1, "a")).await.unwrap();
    assert!(wait_for(&queue, "a").await.success);
    worker.stop().await;
}

#[tokio::test]
async fn work_goes_on_after_redis_lost_all_data() {
    let redis = test_kit::TestRedis::start();
    let queue = TaskQueue::connect(&redis.url(), quick()).await.unwrap();
    let worker = start(&queue, &Echo::new(&["echo"], Duration::ZERO), "w", Duration::ZERO);
    queue.submit_task(&task(1, "before")).await.unwrap();
    assert!(wait_for(&queue, "before").await.success);
    let () = redis::cmd("FLUSHALL").query_async(&mut queue.connection()).await.unwrap();
    eventually("the type", async || {
        let types = queue.task_types().await.unwrap();
        types.contains(&task_type("echo")).then_some(())
    })
    .await;
    queue.submit_task(&task(1, "after")).await.unwrap();
    assert!(wait_for(&queue, "after").await.success);
    worker.stop().await;
}

#[tokio::test]
async fn an_unreadable_record_hides_no_other_worker() {
    let (_redis, queue) = queue().await;
    let mut connection = queue.connection();
    let plugin = json!({"name": "p", "version": "1", "digest": "d", "task_types": ["echo", 7]});
    let record = json!({
        "worker": "w", "started_at": "today", "concurrency": 4, "running": 0,
        "plugins": [plugin, {"name": 7}, "of a later release"],
    });
    let keys = queue.keys();
    let workers = keys.workers();
    let broken = b"{\xff".as_slice();
    // One by one: in a Cluster the keys are on several nodes.
    for command in [
        redis::cmd("SET").arg(keys.worker("w")).arg(record.to_string()),
        redis::cmd("SET").arg(keys.worker("x")).arg(broken),
        redis::cmd("RPUSH").arg(keys.worker("y")).arg("a list"),
        redis::cmd("ZADD").arg(&workers).arg(1).arg("w").arg(1).arg("x").arg(1).arg("y"),
        redis::cmd("ZADD").arg(&workers).arg(1).arg(b"\xff".as_slice()),
        redis::cmd("SADD").arg(keys.types()).arg(b"\xff".as_slice()),
    ] {
        let () = command.query_async(&mut connection).await.unwrap();
    }
    let workers = queue.workers().await.unwrap();
    assert_eq!(workers.len(), 1);
    assert_eq!(workers[0].plugins.len(), 1);
    assert_eq!(workers[0].plugins[0].task_types, [task_type("echo")]);
    assert!(queue.task_types().await.is_ok());
}

#[tokio::test]
async fn a_type_with_a_rate_goes_on_by_itself_and_a_used_up_one_waits() {
    let (redis, queue) = with_config(quick()).await;
    let second = another(redis.as_ref(), &queue, quick()).await;
    let echo = Echo::new(&["echo"], Duration::ZERO);
    let workers =
        [start(&queue, &echo, "w-1", Duration::ZERO), start(&second, &echo, "w-2", Duration::ZERO)];
    // One task at once; each other one needs the clock.
    let kind = task_type("echo");
    queue.set_rate_limit(&kind, Some("1/s".parse().unwrap())).await.unwrap();
    let tasks = ["a", "b", "c"].map(|cause| task(1, cause));
    for task in &tasks {
        queue.submit_task(task).await.unwrap();
    }
    for task in &tasks {
        let result = queue.get_result(&task.task_id, Duration::from_secs(15)).await.unwrap();
        assert!(result.unwrap().success);
    }
    // Nothing of this starts in the time of a test.
    queue.set_rate_limit(&kind, Some("1/h".parse().unwrap())).await.unwrap();
    let tasks = ["d", "e", "f"].map(|cause| task(1, cause));
    for task in &tasks {
        queue.submit_task(task).await.unwrap();
    }
    let first = eventually("one of them", async || {
        let started = echo.started.load(Ordering::SeqCst);
        (started == 4).then_some(started)
    });
    first.await;
    let stats = queue.stats(Duration::from_secs(60)).await.unwrap();
    assert_eq!((stats[0].ready, stats[0].limits.rate), (2, Some("1/h".parse().unwrap())));
    queue.set_rate_limit(&kind, None).await.unwrap();
    for task in &tasks {
        let result = queue.get_result(&task.task_id, Duration::from_secs(15)).await.unwrap();
        assert!(result.unwrap().success);
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_drained_worker_ends_what_it_runs_and_takes_nothing_until_it_is_over() {
    let (redis, queue) = with_config(quick()).await;
    let second = another(redis.as_ref(), &queue, quick()).await;
    let slow = Echo::new(&["echo"], Duration::from_secs(4));
    let first = start(&queue, &slow, "drained", Duration::ZERO);
    let running = task(1, "runs meanwhile");
    queue.submit_task(&running).await.unwrap();
    eventually("the start", async || (slow.started.load(Ordering::SeqCst) == 1).then_some(()))
        .await;
    assert!(!queue.set_drained("nobody", true).await.unwrap());
    assert!(queue.set_drained("drained", true).await.unwrap());
    let is_drained = async |wanted: bool| {
        eventually("the worker says so", async || {
            let workers = queue.workers().await.unwrap();
            workers.iter().any(|record| record.drained == wanted).then_some(())
        })
        .await;
    };
    is_drained(true).await;
    assert!(queue.offered_types().await.unwrap().is_empty(), "nobody else is there");
    let result = queue.get_result(&running.task_id, Duration::from_secs(15)).await.unwrap();
    assert!(result.unwrap().success, "what ran went on");
    let waiting = task(2, "waits");
    queue.submit_task(&waiting).await.unwrap();
    let quick_one = Echo::new(&["echo"], Duration::ZERO);
    let other = start(&second, &quick_one, "other", Duration::ZERO);
    queue.get_result(&waiting.task_id, Duration::from_secs(15)).await.unwrap().unwrap();
    assert_eq!(slow.started.load(Ordering::SeqCst), 1);
    other.stop().await;
    queue.set_drained("drained", false).await.unwrap();
    is_drained(false).await;
    let later = task(3, "later");
    queue.submit_task(&later).await.unwrap();
    queue.get_result(&later.task_id, Duration::from_secs(15)).await.unwrap().unwrap();
    first.stop().await;
}
