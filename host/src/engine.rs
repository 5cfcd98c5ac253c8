//! The one engine of the process: what WebAssembly may do, how instances are pooled, and the epoch clock.

use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::config::Ceilings;
use crate::plugin_config::limits::MOST_TABLE_ELEMENTS;

/// How often a running guest is interrupted to look at its budget and to let others run.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Instances beside those of running tasks: one that is being loaded, and some slack because slots come back late.
const SPARE_INSTANCES: u32 = 8;
/// A component is several core instances: its module, adapters and shims.
const CORE_PER_COMPONENT: u32 = 8;
/// Memory that stays mapped in a slot between tasks; saves page faults, costs this much per slot.
const KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// Builds the engine for `concurrency` tasks at once and starts its epoch clock.
///
/// # Errors
///
/// When neither a pooled nor an on-demand engine can be made.
pub fn build(concurrency: usize, ceilings: &Ceilings) -> wasmtime::Result<Engine> {
    let mut config = base(ceilings);
    config.allocation_strategy(pool(concurrency, ceilings));
    start(&config).or_else(|error| {
        // Some small or emulated machines have too little address space for the pool.
        tracing::warn!(error = %error, "no instance pool on this machine; tasks start slower");
        start(&base(ceilings))
    })
}

/// An engine with its epoch clock.
///
/// # Errors
///
/// When the machine cannot give what `config` asks for.
pub fn start(config: &Config) -> wasmtime::Result<Engine> {
    let engine = Engine::new(config)?;
    start_clock(&engine)?;
    Ok(engine)
}

/// All settings but where instances lie.
pub fn base(ceilings: &Ceilings) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_component_model(true)
        // Sync worlds only. The library's support for concurrent calls is not even compiled in.
        .concurrency_support(false)
        // On all cores, and behind running tasks: its threads are begun by one that has stepped back (`plugin/compile.rs`)
        // and are as nice as that one.
        .parallel_compilation(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // However large what `init` left, an instance maps it instead of copying it.
        .memory_guaranteed_dense_image_size(ceilings.memory_bytes as u64)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20);
    config
}

/// Where instances lie: slots for `concurrency` tasks at once. `cargo xtask bench host` turns each of the last three
/// settings the other way: on two cores with a pagemap scan (Linux 6.7) a task that does nothing then takes 1.96, 1.41
/// and 1.99 × as long at the median, and two threads do less than one.
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
        .table_elements(MOST_TABLE_ELEMENTS as usize)
        .max_memory_size(ceilings.memory_bytes)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// One thread for the process, not a task on the executor that it has to protect. Ends with the engine.
fn start_clock(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH_TICK);
        }
    })?;
    Ok(())
}
