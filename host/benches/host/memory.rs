//! The memory of a thousand instances at once.

use std::sync::Arc;
use std::time::Duration;

use test_kit::record_figure;
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;

use crate::raw::Floor;
use crate::rig;

const INSTANCES: usize = 1_000;
const HOLD: &str = "gauge_hold";

pub(crate) fn measure() {
    let floor = floor();
    let ours = ours();
    let what = format!("memory of a waiting task of a small guest, of {INSTANCES}");
    record_figure(&what, ours as f64, "KiB");
    record_figure("the same with raw wasmtime", floor as f64, "KiB");
    println!(
        "{INSTANCES} tasks at once that wait, small guest: {ours} KiB each, {:.2} × of {floor} KiB with raw wasmtime",
        ours as f64 / floor as f64
    );
}

fn floor() -> u64 {
    let runtime = rig::runtime(2);
    let engine = rig::engine(INSTANCES);
    let floor = Arc::new(Floor::new(&engine));
    runtime.block_on(floor.run("gauge_nothing"));
    let before = rig::resident_kib();
    for _ in 0..INSTANCES {
        let floor = Arc::clone(&floor);
        runtime.spawn(async move { floor.run(HOLD).await });
    }
    runtime.block_on(all_there(&engine));
    (rig::resident_kib() - before) / INSTANCES as u64
}

fn ours() -> u64 {
    let runtime = rig::runtime(2);
    let engine = rig::engine(INSTANCES);
    let handler = rig::gauge(&runtime, &engine);
    runtime.block_on(rig::time(&handler, &rig::bare("gauge_nothing")));
    let before = rig::resident_kib();
    let stop = CancellationToken::new();
    let held: Vec<_> = (0..INSTANCES)
        .map(|_| runtime.spawn(rig::hold(Arc::clone(&handler), rig::bare(HOLD), stop.clone())))
        .collect();
    runtime.block_on(all_there(&engine));
    let each = (rig::resident_kib() - before) / INSTANCES as u64;
    stop.cancel();
    for held in held {
        assert_eq!(runtime.block_on(held).unwrap().result.code(), Some("cancelled"));
    }
    each
}

/// Waits until every instance exists, and a moment longer, until the last ones wait too.
async fn all_there(engine: &Engine) {
    let metrics = engine.pooling_allocator_metrics().unwrap();
    while metrics.component_instances() < INSTANCES as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}
