//! A core dump of a plugin: its memory, its globals and its stack at the moment of its first trap.

use std::sync::{Mutex, PoisonError};

use wasmtime::{AsContextMut, ExternType, WasmCoreDump};

/// The module from which wasmtime's adapters between the parts of a component import their flags.
const FLAGS_OF_ADAPTERS: &str = "flags";

/// The dump of the first trap.
#[derive(Debug, Default)]
pub(crate) struct CoreDump(Mutex<Dumped>);

/// Whether there is a dump.
#[derive(Debug, Default)]
pub(crate) enum Dumped {
    /// Nothing trapped.
    #[default]
    Nothing,
    /// It trapped, and cannot be dumped: it is made of several components. wasmtime 48 panics when it is to dump the adapters
    /// between them (its issue 13983).
    Composed,
    /// The dump.
    Bytes(Vec<u8>),
}

impl CoreDump {
    /// Keeps the dump in `error`, which the plugin `name` in `store` ended with, if it is the first.
    pub(crate) fn keep(&self, mut store: impl AsContextMut, name: &str, error: &wasmtime::Error) {
        let Some(dump) = error.downcast_ref::<WasmCoreDump>() else { return };
        let mut dumped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*dumped, Dumped::Nothing) {
            return;
        }
        *dumped = if has_adapters(&mut store, dump) {
            Dumped::Composed
        } else {
            Dumped::Bytes(dump.serialize(store, name))
        };
    }

    /// What was kept.
    pub(crate) fn take(&self) -> Dumped {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn has_adapters(mut store: impl AsContextMut, dump: &WasmCoreDump) -> bool {
    dump.instances().iter().any(|instance| {
        let module = instance.module(&mut store);
        let mut imports = module.imports();
        imports.any(|import| {
            import.module() == FLAGS_OF_ADAPTERS && matches!(import.ty(), ExternType::Global(_))
        })
    })
}
