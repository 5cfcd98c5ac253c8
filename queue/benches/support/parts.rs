//! What the benches of the queue share.

use std::sync::Arc;
use std::time::Duration;

use queue::{
    Connection, DistributedWorkerRegistry, Finish, Handled, Lease, OfferedPlugin, QueueConfig,
    Task, TaskHandler, TaskQueue, TaskResult, TaskType,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// As shipped, without the limits that a flood would reach.
pub(crate) fn config() -> QueueConfig {
    QueueConfig {
        user_cap: 10_000_000,
        max_pending: 10_000_000,
        time_to_live: Duration::from_secs(3_600),
        ..QueueConfig::default()
    }
}

/// The type of the benches' tasks.
pub(crate) fn kind() -> TaskType {
    "bench".parse().unwrap()
}

/// A task like those of the coordinator.
pub(crate) fn task(user: i64) -> Task {
    let params = json!({"query": "luna marlow"});
    let mut task = Task::new(kind(), user, params.as_object().unwrap().clone());
    task.reply_to = Some(json!({
        "chat_id": user, "user_id": user, "question": {"kind": "search", "query": "luna marlow"},
    }));
    task
}

/// An answer like those of the search.
pub(crate) fn answer() -> TaskResult {
    TaskResult::success(
        json!({"creators": [{"name": "Luna Marlowe", "url": "https://c.example/luna-marlowe"}]}),
    )
}

/// Microseconds that Redis spent in commands since the last call. A script's commands are counted with the script.
pub(crate) async fn redis_us(connection: &mut Connection) -> f64 {
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(connection).await.unwrap();
    let () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(connection).await.unwrap();
    let usec = |line: &str| {
        let usec = line.split("usec=").nth(1)?.split(',').next()?;
        usec.parse::<f64>().ok()
    };
    let scripts: f64 =
        info.lines().filter(|line| line.starts_with("cmdstat_eval")).filter_map(usec).sum();
    if scripts > 0.0 {
        return scripts;
    }
    let own = ["cmdstat_info", "cmdstat_config", "cmdstat_client", "cmdstat_hello", "cmdstat_ping"];
    info.lines()
        .filter(|line| !own.iter().any(|name| line.starts_with(name)))
        .filter_map(usec)
        .sum()
}

struct NoOp(watch::Sender<Vec<OfferedPlugin>>);

impl TaskHandler for NoOp {
    async fn handle(&self, _: &Lease, _: CancellationToken) -> Handled {
        Handled::new(answer(), Finish::Done)
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.0.subscribe()
    }
}

/// Starts a worker whose handler does nothing.
pub(crate) fn start_no_op(
    queue: &TaskQueue,
    task_type: TaskType,
    concurrency: usize,
) -> (CancellationToken, JoinHandle<()>) {
    let plugin = OfferedPlugin {
        name: "no-op".to_owned(),
        version: "1".to_owned(),
        digest: String::new(),
        task_types: vec![task_type],
        commands: Vec::new(),
    };
    let handler = Arc::new(NoOp(watch::Sender::new(vec![plugin])));
    let stop = CancellationToken::new();
    let working = DistributedWorkerRegistry::new(queue.clone());
    let stopping = stop.clone();
    let running = tokio::spawn(async move {
        working.process_tasks(handler, "bench", concurrency, Duration::ZERO, stopping).await;
    });
    (stop, running)
}

/// In µs.
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let us = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
        Self { p50: us(50), p99: us(99) }
    }
}
