//! What surrounds one instance: the store's data and how a store is built for one call.

pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod output;

use std::sync::Arc;
use std::time::Duration;

use queue::TaskId;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::engine::EPOCH_TICK;
use crate::sandbox::http::Outgoing;
use crate::sandbox::limits::{Breaches, Limit, MemoryLimiter};
use crate::sandbox::output::{GuestOutput, Running};
use crate::version::Surroundings;

/// Random bytes that a guest may ask for at once.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// The data of one store.
pub(crate) struct Sandbox {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    table: ResourceTable,
    pub(crate) memory: MemoryLimiter,
    pub(crate) output: GuestOutput,
    pub(crate) around: Arc<Surroundings>,
    /// None while the plugin is being loaded.
    pub(crate) task_id: Option<TaskId>,
    /// Cache calls and bytes that are left to this task.
    pub(crate) cache_left: (u32, usize),
    /// Bytes of data files that are left to this task: each reading is a copy.
    pub(crate) data_left: usize,
    pub(crate) last_progress: Option<tokio::time::Instant>,
    cpu_left: u32,
    /// What it ran into, so that one trap can be told from another.
    pub(crate) breaches: Breaches,
}

impl Sandbox {
    /// A store for one call, with everything closed that `around` does not grant. `breaches` gets the limits that it runs
    /// into.
    pub(crate) fn store(
        engine: &Engine,
        around: &Arc<Surroundings>,
        running: Option<Running>,
        breaches: Breaches,
    ) -> Store<Self> {
        let limits = around.limits;
        let task_id = running.as_ref().map(|running| running.task_id.clone());
        let output = GuestOutput::new(around, running, breaches.clone());
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output.clone())
            .stderr(output.clone())
            .max_random_size(MAX_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let sandbox = Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outgoing: Outgoing::new(around.http.clone(), breaches.clone()),
            table,
            memory: MemoryLimiter::new(
                limits.memory_bytes,
                limits.table_elements,
                breaches.clone(),
            ),
            output,
            around: Arc::clone(around),
            task_id,
            cache_left: (limits.cache_calls, limits.cache_bytes),
            data_left: limits.memory_bytes,
            last_progress: None,
            cpu_left: ticks(limits.cpu),
            breaches,
        };
        let mut store = Store::new(engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        // The table above knows the host's things only; a guest can make some of its own.
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let sandbox = context.data_mut();
            match sandbox.cpu_left.checked_sub(1) {
                Some(left) => {
                    sandbox.cpu_left = left;
                    // tokio's own yield: the plain one goes to the front of the queue and runs again at once.
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

fn ticks(budget: Duration) -> u32 {
    u32::try_from(budget.as_millis() / EPOCH_TICK.as_millis()).unwrap_or(u32::MAX)
}

impl Sandbox {
    /// Whether the guest holds anything of the host's.
    pub(crate) fn holds_handles(&self) -> bool {
        !self.table.is_empty()
    }

    /// Whether it asked anything that may answer differently another time: the web, or the cache.
    pub(crate) fn asked_outside(&self) -> bool {
        0 < self.outgoing.sent() || self.cache_left.0 < self.around.limits.cache_calls
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
