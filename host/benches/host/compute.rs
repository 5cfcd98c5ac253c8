//! The cost of epoch checks for a guest that only computes.

use test_kit::record_figure;

use crate::rig::{self, Times};

const RUNS: usize = 15;

pub(crate) fn measure() {
    let without = time(false);
    let with = time(true);
    record_figure("a loop with epoch checks, times without", with / without, "×");
    println!(
        "a loop of 20,000,000 rounds in a guest: {:.1} ms with epoch checks, {:.3} × of {:.1} ms without",
        with / 1e3,
        with / without,
        without / 1e3
    );
}

fn time(checks: bool) -> f64 {
    let runtime = rig::runtime(1);
    let engine = rig::engine_with(1, |config, _| {
        config.epoch_interruption(checks);
    });
    let handler = rig::gauge(&runtime, &engine);
    let task = rig::bare("gauge_compute");
    let times = (0..RUNS).map(|_| runtime.block_on(rig::time(&handler, &task))).collect();
    Times::of(times).p50()
}
