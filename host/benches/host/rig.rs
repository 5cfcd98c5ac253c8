//! Shared by all parts: a worker's host, tasks, and figures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::config::Ceilings;
use host::engine;
use host::handler::PluginHandler;
use host::plugin::load::Loader;
use host::plugin::publish::catalog::PluginCatalog;
use queue::{Handled, Lease, Task, TaskHandler};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use wasmtime::{Config, Engine, PoolingAllocationConfig};

const TIME_TO_LIVE: Duration = Duration::from_secs(600);

/// The worker's kind of executor, with this many threads.
pub(crate) fn runtime(threads: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

/// The worker's engine with something changed.
pub(crate) fn engine_with(
    concurrency: usize,
    change: impl FnOnce(&mut Config, &mut PoolingAllocationConfig),
) -> Engine {
    let ceilings = Ceilings::default();
    let mut config = engine::base(&ceilings);
    let mut pool = engine::pool(concurrency, &ceilings);
    change(&mut config, &mut pool);
    config.allocation_strategy(pool);
    engine::start(&config).unwrap()
}

/// The worker's engine.
pub(crate) fn engine(concurrency: usize) -> Engine {
    engine::build(concurrency, &Ceilings::default()).unwrap()
}

pub(crate) fn loader(engine: &Engine) -> Loader {
    Loader::new(engine.clone(), Ceilings::default(), None).unwrap()
}

/// A built component.
pub(crate) fn component(name: &str) -> PathBuf {
    test_kit::component(env!("CARGO_BIN_EXE_worker"), name)
}

/// A worker's handler with one plugin and no queue.
pub(crate) async fn handler(loader: Loader, component: &Path) -> Arc<PluginHandler> {
    let catalog = Arc::new(PluginCatalog::default());
    catalog.publish(loader.load(component).await.unwrap()).unwrap();
    let retry = queue::config::RetryPolicy::default();
    Arc::new(PluginHandler::new(&loader, catalog, "bench".to_owned(), retry))
}

/// A handler with the gauge.
pub(crate) fn gauge(runtime: &Runtime, engine: &Engine) -> Arc<PluginHandler> {
    runtime.block_on(handler(loader(engine), &component("gauge")))
}

pub(crate) fn task(task_type: &str, params: &Value) -> Task {
    Task::new(task_type.parse().unwrap(), 7, params.as_object().unwrap().clone())
}

/// A task without params.
pub(crate) fn bare(task_type: &str) -> Task {
    task(task_type, &json!({}))
}

/// Runs a task and returns how long it took; a failure ends the bench.
pub(crate) async fn time(handler: &PluginHandler, task: &Task) -> Duration {
    let lease = Lease::offline(task.clone(), TIME_TO_LIVE);
    let began = Instant::now();
    let handled = handler.handle(&lease, CancellationToken::new()).await;
    let took = began.elapsed();
    assert!(handled.result.success, "{:?}", handled.result);
    took
}

/// Runs a task until it is cancelled.
pub(crate) async fn hold(
    handler: Arc<PluginHandler>,
    task: Task,
    cancelled: CancellationToken,
) -> Handled {
    handler.handle(&Lease::offline(task, TIME_TO_LIVE), cancelled).await
}

/// Times sorted.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    pub(crate) fn p50(&self) -> f64 {
        self.us(50)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.us(99)
    }

    fn us(&self, share: usize) -> f64 {
        self.0[self.0.len() * share / 100].as_secs_f64() * 1e6
    }
}

/// The resident memory of this process, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
