//! The hot paths on one thread, with params large enough that touching them once more shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use queue::{
    DistributedWorkerRegistry, Finish, Handled, Lease, OfferedPlugin, QueueConfig, TaskHandler,
    TaskQueue, TaskResult,
};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ours::{config, runtime, submit_bulk, types};
use crate::setting;

/// Members of the params.
const MEMBERS: usize = 60;
/// More than all tasks: with fewer, how many tasks share a call depends on how long one takes, and that on the machine.
const AT_ONCE: usize = 1_000;
/// What happens from time to time must not happen meanwhile: how often it does depends on the machine.
const NEVER: Duration = Duration::from_secs(3_600);

/// Submits in batches.
pub(crate) fn submit(tasks: usize) {
    runtime().block_on(async { submit_bulk(&connect().await, &types(), &params(), tasks).await });
}

/// Runs a worker with a native handler until it has run so many tasks.
pub(crate) fn drain(tasks: usize) {
    runtime().block_on(async {
        let queue = connect().await;
        let stop = CancellationToken::new();
        let handler = Arc::new(NoOp {
            offered: watch::Sender::new(vec![plugin()]),
            left: AtomicUsize::new(tasks),
            stop: stop.clone(),
        });
        let worker = DistributedWorkerRegistry::new(queue);
        worker.process_tasks(handler, "bench", AT_ONCE, Duration::from_secs(60), stop).await;
    });
}

async fn connect() -> TaskQueue {
    let config =
        QueueConfig { lease: 3 * NEVER, renew_every: NEVER, sweep_every: NEVER, ..config() };
    TaskQueue::connect(&setting("BENCH_URL"), config).await.unwrap()
}

fn params() -> Map<String, Value> {
    (0..MEMBERS).map(|n| (format!("member {n:03}"), json!(format!("value {n:03}")))).collect()
}

fn plugin() -> OfferedPlugin {
    OfferedPlugin {
        name: "no-op".to_owned(),
        version: "1".to_owned(),
        digest: String::new(),
        task_types: types(),
        commands: Vec::new(),
    }
}

/// Counts down and then ends the worker.
struct NoOp {
    offered: watch::Sender<Vec<OfferedPlugin>>,
    left: AtomicUsize,
    stop: CancellationToken,
}

impl TaskHandler for NoOp {
    async fn handle(&self, _: &Lease, _: CancellationToken) -> Handled {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.cancel();
        }
        Handled::new(TaskResult::success(json!({})), Finish::Done)
    }

    fn plugins(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }
}
