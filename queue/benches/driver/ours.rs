//! Tasks of this queue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use queue::{
    DistributedWorkerRegistry, Finish, Lease, QueueConfig, SubmitOptions, Task, TaskQueue,
    TaskResult, TaskType,
};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::figures::{print_rate, print_times};
use crate::{BATCH, PARAMS, WARM_UP, setting, setting_or};

const USERS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn submit(bulk: bool, tasks: usize) {
    runtime().block_on(async {
        let queue = connect().await;
        let types = types();
        let params = params();
        let started = Instant::now();
        if bulk {
            submit_bulk(&queue, &types, &params, tasks).await;
        } else {
            for number in 0..tasks {
                queue.submit_task(&task(&queue, &types, &params, number)).await.unwrap();
            }
        }
        print_rate(tasks, started);
    });
}

pub(crate) fn wait(times: usize) {
    runtime().block_on(async {
        let queue = connect().await;
        let types = types();
        let params = params();
        let registry = DistributedWorkerRegistry::new(queue.clone());
        let mut took = Vec::with_capacity(times);
        for number in 0..times + WARM_UP {
            let task = task(&queue, &types, &params, number);
            let started = Instant::now();
            let result = registry.execute_task(&task, PATIENCE).await.unwrap();
            let elapsed = started.elapsed();
            assert!(result.is_some_and(|result| result.success), "no result, or a failure");
            if number >= WARM_UP {
                took.push(elapsed);
            }
        }
        print_times(took);
    });
}

/// Both ends of a worker's work with the queue, without the worker.
pub(crate) fn end(tasks: usize) {
    runtime().block_on(async {
        let queue = connect().await;
        let types = types();
        let started = Instant::now();
        let mut ended = 0;
        while ended < tasks {
            let leases = queue.claim(&types, "bench", BATCH).await.unwrap();
            assert!(!leases.is_empty(), "only {ended} of {tasks} tasks wait");
            let done: Vec<(Lease, Finish, TaskResult)> = leases
                .into_iter()
                .map(|lease| (lease, Finish::Done, TaskResult::success(json!({}))))
                .collect();
            ended += done.len();
            queue.store_results(&done).await.unwrap();
        }
        print_rate(tasks, started);
    });
}

/// On one thread: a producer waits more than it works.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) async fn connect() -> TaskQueue {
    TaskQueue::connect(&setting("BENCH_URL"), config()).await.unwrap()
}

/// Without limits that a bench would reach.
pub(crate) fn config() -> QueueConfig {
    let parts = u16::try_from(setting_or("BENCH_PARTITIONS", 1)).unwrap();
    let partitions: BTreeMap<TaskType, u16> =
        types().into_iter().filter(|_| parts > 1).map(|kind| (kind, parts)).collect();
    QueueConfig {
        partitions,
        user_cap: 10_000_000,
        max_pending: 10_000_000,
        time_to_live: Duration::from_secs(3_600),
        ..QueueConfig::default()
    }
}

pub(crate) fn types() -> Vec<TaskType> {
    setting("BENCH_TYPES").split(',').map(|name| name.parse().unwrap()).collect()
}

fn params() -> Map<String, Value> {
    serde_json::from_str(PARAMS).unwrap()
}

pub(crate) fn task(
    queue: &TaskQueue,
    types: &[TaskType],
    params: &Map<String, Value>,
    number: usize,
) -> Task {
    let kind = types.get(number % types.len()).unwrap();
    let user = i64::try_from(number % setting_or("BENCH_USERS", USERS)).unwrap();
    Task::in_lane(&queue.lane_of(kind, user), user, params.clone())
}

pub(crate) async fn submit_bulk(
    queue: &TaskQueue,
    types: &[TaskType],
    params: &Map<String, Value>,
    tasks: usize,
) {
    let mut number = 0;
    while number < tasks {
        let until = tasks.min(number + BATCH);
        let batch: Vec<_> = (number..until)
            .map(|number| (task(queue, types, params, number), SubmitOptions::default()))
            .collect();
        for submitted in queue.submit_tasks(&batch).await.unwrap() {
            submitted.unwrap();
        }
        number = until;
    }
}
