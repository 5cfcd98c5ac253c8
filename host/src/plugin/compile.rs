//! Compiles behind running tasks: one component at a time, on threads that take what processor time others leave, and not
//! for ever.

pub mod cache;
pub(crate) mod cache_writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::prepare::snapshot;
use crate::error::LoadError;

/// Longest compile, the wait for its turn included. A shipped plugin takes a second or two; a file made to keep the
/// compiler busy must not keep the folder from being looked at again.
const COMPILE_AT_MOST: Duration = Duration::from_secs(120);

/// How nice a compile is to running tasks: of a core that both want it gets about a tenth, so it ends all the same.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 10;

/// It did not end in time, or the one before it did not.
#[derive(Debug, thiserror::Error)]
#[error("compiling it takes longer than {seconds} s")]
struct TookTooLong {
    seconds: u64,
}

/// Why a component was not compiled, as a refusal of its file.
pub(crate) fn refusal(path: &Path, source: wasmtime::Error) -> LoadError {
    let path = path.to_owned();
    match source.downcast_ref::<TookTooLong>() {
        Some(TookTooLong { seconds }) => LoadError::CompileTime { path, seconds: *seconds },
        None => LoadError::Compile { path, source },
    }
}

/// The one compiler of the process.
#[derive(Debug)]
pub(crate) struct Compiler {
    engine: Engine,
    /// One compile at a time: more would take the processor from running tasks.
    turn: Arc<tokio::sync::Semaphore>,
    at_most: Duration,
}

impl Compiler {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, turn: Arc::new(tokio::sync::Semaphore::new(1)), at_most: COMPILE_AT_MOST }
    }

    /// Compiles, and lays the memory out for instances to map. A compile that was given up keeps its turn until its
    /// thread ends: nothing can stop that.
    pub(crate) async fn compile(&self, wasm: Bytes) -> wasmtime::Result<Component> {
        let (engine, compiling) = (self.engine.clone(), Arc::clone(&self.turn));
        let compiled = async {
            let turn = compiling.acquire_owned().await; // Never closed.
            aside(move || {
                // A compiler that is given up on has its turn until it ends: no thread can be stopped.
                let _turn = turn;
                snapshot::compile(&engine, &wasm)
            })
            .await
        };
        let limit = self.at_most;
        tokio::time::timeout(limit, compiled).await.unwrap_or_else(|_elapsed| {
            Err(wasmtime::Error::new(TookTooLong { seconds: limit.as_secs() }))
        })
    }
}

/// Does what takes long on a thread of its own, behind running tasks. A panic in it is an error like any other, and
/// refuses the file.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> wasmtime::Result<T> + Send + 'static,
) -> wasmtime::Result<T> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("compile".to_owned()).spawn(move || {
        step_back();
        let _ = tell.send(work()); // Whoever asked may have gone.
    })?;
    told.await.unwrap_or_else(|_gone| {
        Err(wasmtime::Error::msg("the compiler panicked; standard error has its words"))
    })
}

/// Gives the calling thread what processor time others leave: on a machine with few cores a compile is felt otherwise.
fn step_back() {
    #[cfg(target_os = "linux")]
    // Linux counts it per thread. It may always be made worse; when it may not, a swap is felt more, and that is all.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), BEHIND);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_whose_compile_does_not_come_to_an_end_is_refused() {
        let compiler = Compiler::new(Engine::default());
        let compiler = Compiler { at_most: Duration::from_millis(1), ..compiler };
        // As long as another one has not ended, none begins.
        let turn = Arc::clone(&compiler.turn).acquire_owned().await.unwrap();
        let wasm = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let error = compiler.compile(wasm.clone()).await.unwrap_err();
        assert!(error.to_string().contains("takes longer than"), "{error}");
        drop(turn);
        let compiler = Compiler { at_most: COMPILE_AT_MOST, ..compiler };
        assert!(compiler.compile(wasm).await.is_ok());
    }
}
