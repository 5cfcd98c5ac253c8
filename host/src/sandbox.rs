//! The sandbox of one call: a store that gives an instance nothing but what its plugin was granted.

pub(crate) mod env;
pub(crate) mod http;
pub(crate) mod limits;
mod memory;
pub(crate) mod output;

use std::sync::Arc;
use std::time::Duration;

use queue::TaskId;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::diagnosis::profile::Profile;
use crate::engine::EPOCH_TICK;
use crate::replay::world::World;
use crate::sandbox::env::PluginEnv;
use crate::sandbox::http::Outgoing;
use crate::sandbox::limits::{Breaches, Limit};
use crate::sandbox::memory::MemoryLimiter;
use crate::sandbox::output::{GuestOutput, TaskLabels};

/// Random bytes that a guest may request in one call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// The data of one store.
pub(crate) struct Sandbox {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    table: ResourceTable,
    pub(crate) memory: MemoryLimiter,
    pub(crate) output: GuestOutput,
    pub(crate) env: Arc<PluginEnv>,
    /// What answers it, or writes down what is answered; none for the real world alone.
    pub(crate) world: Option<Arc<World>>,
    /// None while the plugin is being loaded.
    pub(crate) task_id: Option<TaskId>,
    pub(crate) cache_calls_left: u32,
    pub(crate) cache_bytes_left: usize,
    /// Bytes of data files that this task may still read: each read is a copy.
    pub(crate) data_left: usize,
    pub(crate) last_progress: Option<tokio::time::Instant>,
    cpu_ticks_left: u32,
    /// The limits that it reached. They name the cause of a trap.
    pub(crate) breaches: Breaches,
}

impl Sandbox {
    /// A store for one call, with the grants of `env`. Limits that the call reaches are noted in `breaches`. `task` is
    /// none while the plugin is being loaded. `world` answers the task, or writes down what is answered.
    pub(crate) fn store(
        engine: &Engine,
        env: &Arc<PluginEnv>,
        task: Option<TaskLabels>,
        world: Option<Arc<World>>,
        breaches: Breaches,
    ) -> Store<Self> {
        let limits = env.limits;
        let tick = env.diagnosis.as_ref().map_or(EPOCH_TICK, |diagnosis| diagnosis.tick());
        let task_id = task.as_ref().map(|task| task.task_id.clone());
        let output = GuestOutput::new(env, task, breaches.clone());
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output.clone())
            .stderr(output.clone())
            .max_random_size(MAX_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if let Some(world) = &world {
            world.set(&mut wasi);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let sandbox = Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outgoing: Outgoing::new(env.http.clone(), world.clone(), breaches.clone()),
            table,
            memory: MemoryLimiter::new(
                limits.memory_bytes,
                limits.table_elements,
                breaches.clone(),
            ),
            output,
            env: Arc::clone(env),
            world,
            task_id,
            cache_calls_left: limits.cache_calls,
            cache_bytes_left: limits.cache_bytes,
            data_left: limits.memory_bytes,
            last_progress: None,
            cpu_ticks_left: ticks(limits.cpu, tick),
            breaches,
        };
        let mut store = Store::new(engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        // The table above holds the host's resources only; a guest can also create its own.
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            if let Some(profile) = context.data().profile() {
                profile.sample(&context);
            }
            let sandbox = context.data_mut();
            match sandbox.cpu_ticks_left.checked_sub(1) {
                Some(left) => {
                    sandbox.cpu_ticks_left = left;
                    // tokio's own yield: wasmtime's plain one would run the same guest again at once.
                    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
                }
                None => {
                    sandbox.breaches.note(Limit::Cpu);
                    Ok(UpdateDeadline::Interrupt)
                }
            }
        });
        store
    }
}

fn ticks(budget: Duration, tick: Duration) -> u32 {
    u32::try_from(budget.as_millis() / tick.as_millis()).unwrap_or(u32::MAX)
}

impl Sandbox {
    /// The profile that a sample of this task is for.
    fn profile(&self) -> Option<&Profile> {
        self.task_id.as_ref().and_then(|_| self.env.profile())
    }

    /// Whether the guest holds handles to resources of the host.
    pub(crate) fn has_handles(&self) -> bool {
        !self.table.is_empty()
    }

    /// Whether it used the web or the cache, which may answer differently next time.
    pub(crate) fn has_asked_outside(&self) -> bool {
        self.outgoing.sent() > 0 || self.cache_calls_left < self.env.limits.cache_calls
    }

    /// How its last request to another server ended, if that failed.
    pub(crate) fn failed_request(&self) -> Option<String> {
        self.outgoing.last().failure()
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Sandbox {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}
