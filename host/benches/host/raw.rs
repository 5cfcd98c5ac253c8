//! The floor: wasmtime with WASI linked and the same engine, without the host.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::rig;

mod generated {
    wasmtime::component::bindgen!({ path: "../wit", world: "plugin", exports: { default: async } });
}

use generated::PluginPre;
use generated::freefans::plugin::types::Task;

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The gauge, ready to be instantiated.
pub(crate) struct Floor {
    engine: Engine,
    plugin: PluginPre<State>,
}

impl Floor {
    pub(crate) fn new(engine: &Engine) -> Self {
        let component = Component::from_file(engine, rig::component("gauge")).unwrap();
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let plugin = PluginPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine: engine.clone(), plugin }
    }

    /// One task in a fresh instance.
    pub(crate) async fn run(&self, task_type: &str) {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.plugin.instantiate_async(&mut store).await.unwrap();
        let task = Task {
            id: "{gauge}1".to_owned(),
            task_type: task_type.to_owned(),
            user_id: 7,
            params: "{}".to_owned(),
            attempt: 1,
            time_left_ms: 1_000,
            seed: 1,
            traceparent: None,
        };
        instance.call_handle(&mut store, &task).await.unwrap().unwrap();
    }
}
