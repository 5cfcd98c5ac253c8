//! The WebAssembly engine of the process: its features, its instance pool and its epoch clock.

use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::config::Ceilings;
use crate::plugin_config::limits::MAX_TABLE_ELEMENTS;

/// How often a running guest is interrupted, to check its processor time and to let other tasks run.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Instances besides those of running tasks: one that is being loaded, and a few because slots are released late.
const SPARE_INSTANCES: u32 = 8;
/// A component has several core instances: its module, adapters and shims.
const CORE_PER_COMPONENT: u32 = 8;
/// Memory that stays mapped in a slot between tasks. It saves page faults and costs this much for each slot.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// Builds the engine for `concurrency` tasks at once and starts its epoch clock.
///
/// # Errors
///
/// When neither an engine with a pool nor one without can be built.
pub fn build(concurrency: usize, ceilings: &Ceilings) -> wasmtime::Result<Engine> {
    start_pooled(&base(ceilings), pool(concurrency, ceilings), EPOCH_TICK)
}

/// What an engine for a plugin's author does, and a worker's does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForAuthor {
    /// Backtraces name lines of the source.
    pub(crate) lines: bool,
    /// A trap comes with a core dump.
    pub(crate) core_dumps: bool,
    /// How often a running guest is interrupted.
    pub(crate) tick: Duration,
}

/// Builds an engine for one task at a time.
///
/// # Errors
///
/// When this machine does not support it.
pub(crate) fn for_author(
    ceilings: &Ceilings,
    ForAuthor { lines, core_dumps, tick }: ForAuthor,
) -> wasmtime::Result<Engine> {
    let mut config = base(ceilings);
    config.coredump_on_trap(core_dumps);
    if lines {
        config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    }
    start_pooled(&config, pool(1, ceilings), tick)
}

fn start_pooled(
    config: &Config,
    pool: PoolingAllocationConfig,
    tick: Duration,
) -> wasmtime::Result<Engine> {
    start_with(config.clone().allocation_strategy(pool), tick).or_else(|error| {
        // Some small or emulated machines have too little address space for the pool.
        tracing::warn!(error = %error, "no pool of instances; tasks start slower");
        start_with(config, tick)
    })
}

/// Builds an engine and starts its epoch clock.
///
/// # Errors
///
/// When this machine does not support `config`.
pub fn start(config: &Config) -> wasmtime::Result<Engine> {
    start_with(config, EPOCH_TICK)
}

fn start_with(config: &Config, tick: Duration) -> wasmtime::Result<Engine> {
    let engine = Engine::new(config)?;
    start_clock(&engine, tick)?;
    Ok(engine)
}

/// The settings other than the allocation strategy.
pub fn base(ceilings: &Ceilings) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_component_model(true)
        // Only synchronous worlds: support for concurrent calls is not compiled in.
        .concurrency_support(false)
        // On all cores, at low priority: the compiler's threads inherit it from the one that starts them
        // (`plugin/compile/background.rs`).
        .parallel_compilation(true)
        // Lines of the source, for an author who asks for them: reading them costs time and memory for each component.
        .wasm_backtrace_details(WasmBacktraceDetails::Environment)
        // Instances map the memory image of any size, instead of copying it.
        .memory_guaranteed_dense_image_size(ceilings.memory_bytes as u64)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20);
    config
}

/// A pool with slots for `concurrency` tasks at once. `cargo xtask bench host` changes each of the last three settings in
/// turn: on two cores with a pagemap scan (Linux 6.7), the median of a task that does nothing is then 1.96, 1.41 and
/// 1.99 × as long, and two threads do less than one.
pub fn pool(concurrency: usize, ceilings: &Ceilings) -> PoolingAllocationConfig {
    let instances = u32::try_from(concurrency).unwrap_or(1_024).min(1_024) + SPARE_INSTANCES;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_PER_COMPONENT)
        .total_memories(instances * 2)
        .total_tables(instances * CORE_PER_COMPONENT)
        .total_stacks(instances)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_core_instances_per_component(16)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(MAX_TABLE_ELEMENTS as usize)
        .max_memory_size(ceilings.memory_bytes)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// A thread, not a task: it must run even when guests keep the executor busy. It ends with the engine.
fn start_clock(engine: &Engine, tick: Duration) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(tick);
        }
    })?;
    Ok(())
}
