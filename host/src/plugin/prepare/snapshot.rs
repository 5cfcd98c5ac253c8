//! Runs `init` once and keeps the memory that it leaves, so that each task starts from a prepared instance.
//!
//! `wasmtime-wizer` writes a new component whose memories and globals begin with what `init` left in them. An instance
//! of it maps that memory copy-on-write: what a task writes is its own. What cannot be kept is refused, and `init` then
//! runs for each task: a handle to something of the host's (a stream, a request) would lead nowhere in another
//! instance.

use bytes::Bytes;
use wasmtime::component::{Component, Instance, Lift, WasmList};
use wasmtime::{Engine, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::sandbox::Sandbox;

/// Adds to a component what [`take`] asks it with. Takes a moment: not for an executor's thread.
///
/// # Errors
///
/// When it is built in a way that no snapshot can be taken of.
pub(crate) fn instrument(wasm: &[u8]) -> wasmtime::Result<Bytes> {
    let (_, instrumented) = wizer().instrument_component(wasm)?;
    Ok(instrumented.into())
}

fn wizer() -> Wizer {
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    wizer
}

/// The component `wasm` as it is now, after `init` has run in `instance` of its instrumented form. Takes a moment too.
///
/// # Errors
///
/// When the instance holds handles, or does not tell what is in it.
pub(crate) async fn take(
    wasm: &[u8],
    store: &mut Store<Sandbox>,
    instance: Instance,
) -> wasmtime::Result<Vec<u8>> {
    if store.data().holds_handles() {
        wasmtime::bail!(
            "after `init` it holds a handle (standard output, a request, a timer), which no other instance could use"
        );
    }
    // Its memory comes back through a call, and is larger than what a task may say.
    store.set_hostcall_fuel(usize::MAX);
    let wizer = wizer();
    // Made anew rather than kept since `instrument`: it borrows `wasm`, and loading goes from thread to thread.
    let (context, _) = wizer.instrument_component(wasm)?;
    let mut state = State { store, instance, failed: None };
    let wasm = wizer.snapshot_component(&context, &mut state).await?;
    match state.failed {
        Some(error) => Err(error),
        None => Ok(wasm),
    }
}

/// Compiles on the calling thread, and lays the memory out for instances to map.
pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Component> {
    let component = Component::from_binary(engine, wasm)?;
    component.initialize_copy_on_write_image()?;
    Ok(component)
}

/// Answers the snapshot's questions from a living instance. Its trait knows no failure, so the first one is kept.
struct State<'a> {
    store: &'a mut Store<Sandbox>,
    instance: Instance,
    failed: Option<wasmtime::Error>,
}

impl State<'_> {
    async fn ask<R: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || wasmtime::Error::msg(format!("it has no `{instance}#{function}`"));
        let (_, place) =
            self.instance.get_export(&mut *self.store, None, instance).ok_or_else(missing)?;
        let (_, place) = self
            .instance
            .get_export(&mut *self.store, Some(&place), function)
            .ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, place)?;
        let (answer,) = function.call_async(&mut *self.store, ()).await?;
        Ok(answer)
    }

    fn keep<R: Default>(&mut self, answer: wasmtime::Result<R>) -> R {
        answer.unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            R::default()
        })
    }
}

impl ComponentInstanceState for State<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        match self.ask::<WasmList<u8>>(instance, func).await {
            Ok(list) => contents(list.as_le_slice(&self.store)),
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        let answer = self.ask(instance, func).await;
        self.keep(answer)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        let answer = self.ask(instance, func).await;
        self.keep(answer)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        let answer = self.ask::<f32>(instance, func).await.map(f32::to_bits);
        self.keep(answer)
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        let answer = self.ask::<f64>(instance, func).await.map(f64::to_bits);
        self.keep(answer)
    }
}
