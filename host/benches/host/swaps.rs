//! Swaps of a plugin while tasks run, with a real Redis and the worker's own loop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::config::Ceilings;
use host::handler::PluginHandler;
use host::plugin::load::Loader;
use host::plugin::publish::catalog::PluginCatalog;
use host::swap::folder::PluginFolder;
use queue::{DistributedWorkerRegistry, QueueConfig, TaskQueue};
use test_kit::{TestRedis, record_figure};
use tokio_util::sync::CancellationToken;

use crate::rig::{self, Times};

const CONCURRENCY: usize = 16;
/// People who send the next task when the last one is answered.
const PEOPLE: usize = 4;
const WITHOUT_SWAPS: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure() {
    let swaps = std::env::var("BENCH_SWAPS").ok().map_or(1_000, |swaps| swaps.parse().unwrap());
    // The worker's own default: as many threads as processors.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(under_load(swaps));
}

async fn under_load(swaps: u32) {
    let redis = TestRedis::start();
    let config = QueueConfig { user_cap: 10_000, ..QueueConfig::default() };
    let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    std::fs::copy(rig::component("gauge"), place.path().join("gauge.wasm")).unwrap();
    let ceilings = Ceilings::default();
    let catalog = Arc::new(PluginCatalog::default());
    let loader = Loader::new(rig::engine(CONCURRENCY), ceilings, Some(queue.clone())).unwrap();
    let loader = Arc::new(loader);
    let mut folder = PluginFolder::new(
        place.path().to_owned(),
        ceilings,
        Arc::clone(&loader),
        Arc::clone(&catalog),
    );
    swap(&mut folder, place.path(), 0).await;
    let retry = queue::config::RetryPolicy::default();
    let handler = Arc::new(PluginHandler::new(&loader, catalog, "bench".to_owned(), retry));
    let stop = CancellationToken::new();
    let working = DistributedWorkerRegistry::new(queue.clone());
    let stopping = stop.clone();
    let worker = tokio::spawn(async move {
        working.process_tasks(handler, "bench", CONCURRENCY, Duration::ZERO, stopping).await;
    });

    let quiet = load(&queue, async || tokio::time::sleep(WITHOUT_SWAPS).await).await;
    let quarter = swaps.div_ceil(4);
    let mut resident = vec![rig::resident_kib()];
    let mut took = Vec::new();
    let swapped = load(&queue, async || {
        for number in 1..=swaps {
            took.push(swap(&mut folder, place.path(), number).await);
            if number % quarter == 0 {
                resident.push(rig::resident_kib());
            }
        }
    })
    .await;
    stop.cancel();
    worker.await.unwrap();

    let took = Times::of(took);
    println!(
        "{swaps} swaps of a small plugin, compiled each time, while {PEOPLE} people send no-op tasks:"
    );
    println!("  {} tasks, {} of them failed", swapped.answered, swapped.failed);
    let mib: Vec<String> = resident.iter().map(|kib| format!("{}", kib >> 10)).collect();
    println!("  memory before, and after each quarter of the swaps: {} MiB", mib.join(", "));
    println!("  a swap took p50 {:.0} ms, p99 {:.0} ms", took.p50() / 1e3, took.p99() / 1e3);
    record_figure(
        &format!("{swaps} swaps under load: tasks that failed"),
        swapped.failed as f64,
        "",
    );
    record_figure("a swap: p50", took.p50() / 1e3, "ms");
    let mib = |kib: Option<&u64>| kib.map_or(0.0, |kib| *kib as f64 / 1024.0);
    record_figure("memory before the swaps", mib(resident.first()), "MiB");
    record_figure("memory after them", mib(resident.last()), "MiB");
    let [quiet, swapped] = [quiet, swapped].map(|load| [load.percentile(50), load.percentile(99)]);
    record_figure("a task's p99 while they are made, times without", swapped[1] / quiet[1], "×");
    println!(
        "  a task, submit to result: p50 {:.0} µs, p99 {:.0} µs: {:.2} × and {:.2} × of {:.0} and {:.0} µs without swaps",
        swapped[0],
        swapped[1],
        swapped[0] / quiet[0],
        swapped[1] / quiet[1],
        quiet[0],
        quiet[1]
    );
}

/// Puts other settings beside the component: a new version, which is compiled and initialised like any other.
async fn swap(folder: &mut PluginFolder, place: &Path, number: u32) -> Duration {
    let settings = format!("[config]\nswap = \"{number:06}\"\n");
    let beside = place.join(".gauge.part");
    std::fs::write(&beside, settings).unwrap();
    std::fs::rename(beside, place.join("gauge.toml")).unwrap();
    let began = Instant::now();
    let changes = folder.scan().await.unwrap();
    assert_eq!((changes.published, changes.refused), (1, 0), "swap {number}");
    began.elapsed()
}

/// A histogram of times. Its size is constant, because the bench measures memory.
struct Load {
    buckets: Vec<usize>,
    answered: usize,
    failed: usize,
}

/// Longer times count as the longest.
const BUCKETS: usize = 20_000;
const BUCKET: Duration = Duration::from_micros(20);

impl Load {
    fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], answered: 0, failed: 0 }
    }

    fn note(&mut self, took: Duration, success: bool) {
        let bucket = (took.as_nanos() / BUCKET.as_nanos()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.answered += 1;
        self.failed += usize::from(!success);
    }

    fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(here, there)| *here += there);
        self.answered += other.answered;
        self.failed += other.failed;
    }

    /// The time within which `share` percent were answered, in microseconds.
    fn percentile(&self, share: usize) -> f64 {
        let mut left = self.answered * share / 100;
        let reached = |count: &usize| {
            let here = left <= *count;
            left = left.saturating_sub(*count);
            here
        };
        let bucket = self.buckets.iter().position(reached).unwrap();
        (BUCKET * (bucket as u32 + 1)).as_secs_f64() * 1e6
    }
}

/// Tasks of [`PEOPLE`] for as long as `meanwhile` takes.
async fn load(queue: &TaskQueue, meanwhile: impl AsyncFnOnce()) -> Load {
    let done = Arc::new(AtomicBool::new(false));
    let people: Vec<_> = (0..PEOPLE)
        .map(|_| {
            let registry = DistributedWorkerRegistry::new(queue.clone());
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut load = Load::new();
                while !done.load(Ordering::Relaxed) {
                    let asked = rig::bare("gauge_nothing");
                    let began = Instant::now();
                    let answer = registry.execute_task(&asked, PATIENCE).await.unwrap();
                    load.note(began.elapsed(), answer.is_some_and(|result| result.success));
                }
                load
            })
        })
        .collect();
    meanwhile().await;
    done.store(true, Ordering::Relaxed);
    let mut all = Load::new();
    for person in people {
        all.add(&person.await.unwrap());
    }
    all
}
