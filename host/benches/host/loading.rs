//! From a component's file to its first answer, compiled and from the cache.

use std::time::{Duration, Instant};

use host::plugin::compile::cache::PreparedCache;
use serde_json::json;
use test_kit::record_figure;

use crate::rig::{self, Times};

const RUNS: usize = 5;

pub(crate) fn measure() {
    let component = test_kit::root().join("plugins/search.wasm");
    let folder = tempfile::tempdir().unwrap();
    let runtime = rig::runtime(1);
    let task = rig::task("search_creator", &json!({"query": "luna marlow"}));
    // A new engine each time, as after a restart.
    let load = |cache: Option<PreparedCache>| {
        let loader = rig::loader(&rig::engine(16)).with_cache(cache);
        let kept = loader.cache_written();
        let began = Instant::now();
        let handler = runtime.block_on(rig::handler(loader, &component));
        let loaded = began.elapsed();
        let first = runtime.block_on(rig::time(&handler, &task));
        let later = (0..200).map(|_| runtime.block_on(rig::time(&handler, &task))).collect();
        runtime.block_on(kept);
        (loaded, first, Times::of(later).p50())
    };
    let median = |runs: Vec<Duration>| Times::of(runs).p50();
    let cold: Vec<_> = (0..RUNS).map(|_| load(None)).collect();
    let cache = PreparedCache::open(&folder.path().join("cache")).unwrap();
    load(Some(cache.clone()));
    let kept: Vec<_> = (0..RUNS).map(|_| load(Some(cache.clone()))).collect();
    let cold = median(cold.into_iter().map(|(loaded, ..)| loaded).collect());
    let first = median(kept.iter().map(|(_, first, _)| *first).collect());
    let later = kept.iter().map(|(.., later)| *later).fold(f64::INFINITY, f64::min);
    let kept = median(kept.into_iter().map(|(loaded, ..)| loaded).collect());
    record_figure("`plugins/search.wasm` ready: compiled", cold / 1e3, "ms");
    record_figure("from the cache", kept / 1e3, "ms");
    record_figure("its first task after that", first, "µs");
    println!(
        "plugins/search.wasm, {} KiB, from file to ready: {:.0} ms compiled on one thread, {:.1} ms from the cache, {:.0} × faster",
        std::fs::metadata(&component).unwrap().len() >> 10,
        cold / 1e3,
        kept / 1e3,
        cold / kept
    );
    println!(
        "  its first task after that: {first:.0} µs, {:.1} × of the {later:.0} µs of a later one",
        first / later
    );
}
