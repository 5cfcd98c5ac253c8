//! A task that does nothing: store, grants, limits, instance, call, drop; and the effect of each engine setting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use test_kit::record_figure;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::raw::Floor;
use crate::rig::{self, Times};

const TASKS: usize = 50_000;
const WARM_UP: usize = 2_000;
const NOTHING: &str = "gauge_nothing";

/// The times of one thread, and the throughput of two compared with one.
struct Figures {
    times: Times,
    two_threads: f64,
}

pub(crate) fn measure() {
    println!("a task that does nothing, each in a fresh instance:");
    let engine = rig::engine(16);
    let floor = floor(&engine);
    println!(
        "  raw wasmtime  p50 {:.1} µs, p99 {:.1} µs; two threads {:.2} × one",
        floor.times.p50(),
        floor.times.p99(),
        floor.two_threads
    );
    let ours = ours(&engine);
    record_figure("a no-op task in a fresh instance: p50", ours.times.p50(), "µs");
    record_figure("p99", ours.times.p99(), "µs");
    record_figure("p50, times raw wasmtime", ours.times.p50() / floor.times.p50(), "×");
    record_figure("two threads, times one", ours.two_threads, "×");
    record_figure("the same with raw wasmtime", floor.two_threads, "×");
    println!(
        "  this host     p50 {:.1} µs, p99 {:.1} µs: {:.2} × and {:.2} ×; two threads {:.2} × one",
        ours.times.p50(),
        ours.times.p99(),
        ours.times.p50() / floor.times.p50(),
        ours.times.p99() / floor.times.p99(),
        ours.two_threads
    );
}

fn floor(engine: &Engine) -> Figures {
    let floor = Arc::new(Floor::new(engine));
    figures(&move || {
        let floor = Arc::clone(&floor);
        async move {
            let began = Instant::now();
            floor.run(NOTHING).await;
            began.elapsed()
        }
    })
}

fn ours(engine: &Engine) -> Figures {
    let handler = rig::gauge(&rig::runtime(1), engine);
    let task = rig::bare(NOTHING);
    figures(&move || {
        let handler = Arc::clone(&handler);
        let task = task.clone();
        async move { rig::time(&handler, &task).await }
    })
}

/// Runs `one` again and again on one thread, then on two.
fn figures<R, F>(one: &R) -> Figures
where
    R: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Duration> + Send,
{
    let (alone, rate) = on_threads(1, one);
    let (_, both) = on_threads(2, one);
    Figures { times: Times::of(alone), two_threads: both / rate }
}

/// All times, and tasks per second.
fn on_threads<R, F>(threads: usize, one: &R) -> (Vec<Duration>, f64)
where
    R: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Duration> + Send,
{
    let runtime = rig::runtime(threads);
    let repeat = |times: usize| {
        let one = one.clone();
        runtime.spawn(async move {
            let mut took = Vec::with_capacity(times);
            for _ in 0..times {
                took.push(one().await);
            }
            took
        })
    };
    let all = |times: usize| {
        let running: Vec<_> = (0..threads).map(|_| repeat(times)).collect();
        let mut took = Vec::new();
        for running in running {
            took.extend(runtime.block_on(running).unwrap());
        }
        took
    };
    all(WARM_UP);
    let began = Instant::now();
    let took = all(TASKS);
    let rate = took.len() as f64 / began.elapsed().as_secs_f64();
    (took, rate)
}

type Change = fn(&mut Config, &mut PoolingAllocationConfig);

/// The engine's settings, each one changed alone.
pub(crate) fn settings() {
    let variants: &[(&str, Change)] = &[
        ("linear_memory_keep_resident(0)", |_, pool| {
            pool.linear_memory_keep_resident(0);
        }),
        ("table_keep_resident(0)", |_, pool| {
            pool.table_keep_resident(0);
        }),
        ("pagemap_scan(No)", |_, pool| {
            pool.pagemap_scan(Enabled::No);
        }),
        ("epoch_interruption(false)", |config, _| {
            config.epoch_interruption(false);
        }),
    ];
    println!("the same with one setting of the engine turned the other way:");
    let shipped = ours(&rig::engine(16));
    line("as shipped", &shipped, &shipped);
    for (name, change) in variants {
        line(name, &ours(&rig::engine_with(16, change)), &shipped);
    }
    let mut on_demand = host::engine::base(&host::config::Ceilings::default());
    on_demand.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    line("no pool", &ours(&host::engine::start(&on_demand).unwrap()), &shipped);
}

fn line(name: &str, figures: &Figures, shipped: &Figures) {
    println!(
        "  {name:<30} p50 {:>5.1} µs {:.2} ×, p99 {:>5.1} µs {:.2} ×; two threads {:.2} × one",
        figures.times.p50(),
        figures.times.p50() / shipped.times.p50(),
        figures.times.p99(),
        figures.times.p99() / shipped.times.p99(),
        figures.two_threads
    );
}
