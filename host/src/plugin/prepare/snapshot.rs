//! Takes a snapshot of an instance after `init`, so that each task starts from a prepared instance.
//!
//! `wasmtime-wizer` writes a new component whose memories and globals start with the values that `init` left. Its
//! instances map that memory copy-on-write, so a task changes only its own copy. A handle to a resource of the host (a
//! stream, a request) is not valid in another instance; an instance that holds one is refused, and `init` then runs for
//! each task.

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::sandbox::Sandbox;

/// Adds the exports to a component that [`take`] calls. Slow: not for an executor's thread.
///
/// # Errors
///
/// When no snapshot can be taken of a component like this.
pub(crate) fn instrument(wasm: &[u8]) -> wasmtime::Result<Bytes> {
    let (_, instrumented) = wizer().instrument_component(wasm)?;
    Ok(instrumented.into())
}

fn wizer() -> Wizer {
    let mut wizer = Wizer::new();
    wizer.keep_init_func(true);
    wizer
}

/// The component `wasm` with the state of `instance`, which is made of its instrumented form. Slow as well.
///
/// # Errors
///
/// When the instance holds handles, or a call for its state fails.
pub(crate) async fn take(
    wasm: &[u8],
    store: &mut Store<Sandbox>,
    instance: Instance,
) -> wasmtime::Result<Vec<u8>> {
    if store.data().has_handles() {
        wasmtime::bail!(
            "after `init` it holds a handle (standard output, a request, a timer), which no other instance could use"
        );
    }
    // The memory is the result of a call, and larger than a task's limit for one call.
    store.set_hostcall_fuel(usize::MAX);
    let wizer = wizer();
    // Computed again, because it borrows `wasm` and loading moves between threads.
    let (context, _) = wizer.instrument_component(wasm)?;
    let mut state = State { store, instance, failed: None };
    let wasm = wizer.snapshot_component(&context, &mut state).await?;
    match state.failed {
        Some(error) => Err(error),
        None => Ok(wasm),
    }
}

/// Reads the state of an instance for the snapshot. The trait has no errors, so the first one is stored here.
struct State<'a> {
    store: &'a mut Store<Sandbox>,
    instance: Instance,
    failed: Option<wasmtime::Error>,
}

impl State<'_> {
    async fn call<R: Lift + Send + Sync + 'static>(
        &mut self,
        instance: &str,
        function: &str,
    ) -> wasmtime::Result<R> {
        let missing = || wasmtime::Error::msg(format!("it has no `{instance}#{function}`"));
        let (_, index) =
            self.instance.get_export(&mut *self.store, None, instance).ok_or_else(missing)?;
        let (_, index) = self
            .instance
            .get_export(&mut *self.store, Some(&index), function)
            .ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, index)?;
        let (answer,) = function.call_async(&mut *self.store, ()).await?;
        Ok(answer)
    }

    fn or_default<R: Default>(&mut self, result: wasmtime::Result<R>) -> R {
        result.unwrap_or_else(|error| {
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
        match self.call::<WasmList<u8>>(instance, func).await {
            Ok(list) => contents(list.as_le_slice(&self.store)),
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        let answer = self.call(instance, func).await;
        self.or_default(answer)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        let answer = self.call(instance, func).await;
        self.or_default(answer)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        let answer = self.call::<f32>(instance, func).await.map(f32::to_bits);
        self.or_default(answer)
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        let answer = self.call::<f64>(instance, func).await.map(f64::to_bits);
        self.or_default(answer)
    }
}
