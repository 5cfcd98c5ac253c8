//! Compiles one component at a time, at low priority and with a time limit. What is compiled can be cached on disk, and
//! is not compiled again as long as it is there, nor by two processes at once ([`turn`]).

pub(crate) mod background;
pub mod cache;
mod cache_writer;
pub mod program;
mod turn;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime::component::Component;

use self::cache::{CacheKey, PreparedCache};
use self::cache_writer::CacheWriter;
use self::program::{CompilerProgram, ProgramError};
use crate::error::LoadError;
use crate::metrics;

/// Longest compile, including the wait for the one before. A shipped plugin takes a second or two; a file made to keep
/// the compiler busy must not keep the folder from being scanned.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// When somebody who waits is told what for. A component with an interpreter takes most of a minute.
const TOLD_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
#[error("compilation takes longer than {seconds} s")]
struct TimedOut {
    seconds: u64,
}

/// Turns a compiler error into the refusal of the file.
pub(super) fn refusal(path: &Path, source: wasmtime::Error) -> LoadError {
    let path = path.to_owned();
    if let Some(TimedOut { seconds }) = source.downcast_ref() {
        return LoadError::CompileTime { path, seconds: *seconds };
    }
    if source.downcast_ref().is_some_and(ProgramError::was_killed) {
        return LoadError::CompilerKilled { path, source };
    }
    LoadError::Compile { path, source }
}

/// The compiler of the process.
#[derive(Debug)]
pub(super) struct Compiler {
    engine: Engine,
    /// None to compile in this process.
    program: Option<CompilerProgram>,
    /// One compile at a time: more would take processor time from running tasks.
    permits: Arc<Semaphore>,
    time_limit: Duration,
    cache: Option<PreparedCache>,
    writer: CacheWriter,
}

impl Compiler {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            program: None,
            permits: Arc::new(Semaphore::new(1)),
            time_limit: TIME_LIMIT,
            cache: None,
            writer: CacheWriter::new(),
        }
    }

    pub(super) fn with_cache(self, cache: Option<PreparedCache>) -> Self {
        Self { cache, ..self }
    }

    pub(super) fn with_program(self, program: Option<CompilerProgram>) -> Self {
        Self { program, ..self }
    }

    /// The cache key of what the compiler makes of the component file with this digest, as it is or `instrumented`.
    pub(super) fn key(&self, digest: &str, instrumented: bool) -> String {
        let mut key = CacheKey::new(&self.engine);
        key.add(if instrumented { b"before init" } else { b"as it is" });
        key.add(digest.as_bytes());
        key.finish()
    }

    /// The component that is cached under `key`, or else compiled and cached. Without a key it is always compiled, and
    /// not cached. The log names it `what`.
    pub(super) async fn component(
        &self,
        key: Option<&str>,
        what: &str,
        wasm: Bytes,
    ) -> wasmtime::Result<Component> {
        if let Some(cached) = self.cached(key).await {
            return Ok(cached);
        }
        let limit = self.time_limit;
        tokio::time::timeout(limit, self.compile(key, what, wasm))
            .await
            .unwrap_or_else(|_elapsed| Err(TimedOut { seconds: limit.as_secs() }.into()))
    }

    /// The component that is cached under `key`.
    pub(super) async fn cached(&self, key: Option<&str>) -> Option<Component> {
        let key = key?.to_owned();
        let cache = self.cache.clone()?;
        let engine = self.engine.clone();
        let unwritten = self.writer.unwritten(&key);
        let reading = tokio::task::spawn_blocking(move || match unwritten {
            Some(code) => cache::load(&engine, &code).ok(),
            None => cache.get(&engine, &key),
        });
        let cached = reading.await.ok().flatten();
        if cached.is_some() {
            metrics::component_from_cache();
        }
        cached
    }

    async fn compile(
        &self,
        key: Option<&str>,
        what: &str,
        wasm: Bytes,
    ) -> wasmtime::Result<Component> {
        let permit = Arc::clone(&self.permits).acquire_owned().await; // Never closed.
        // The compile before this one may have been the same.
        if let Some(cached) = self.cached(key).await {
            return Ok(cached);
        }
        let megabytes = wasm.len() / 1_000_000;
        let is_kept = key.is_some() && self.cache.is_some();
        let tell = || {
            if is_kept {
                tracing::info!(
                    component = what,
                    megabytes,
                    "compiling; this is done once, and then the cache has it"
                );
            } else {
                tracing::info!(component = what, megabytes, "compiling; no cache keeps it");
            }
        };
        told_when_slow(self.compile_now(key, wasm, permit), TOLD_AFTER, tell).await
    }

    async fn compile_now(
        &self,
        key: Option<&str>,
        wasm: Bytes,
        permit: Result<OwnedSemaphorePermit, AcquireError>,
    ) -> wasmtime::Result<Component> {
        // Another process may be compiling the same: workers of one machine see a new file at the same time.
        let turn = match (key, &self.cache) {
            (Some(key), Some(cache)) => turn::take(cache.folder(), key).await,
            _ => None,
        };
        if turn.is_some()
            && let Some(cached) = self.cached(key).await
        {
            return Ok(cached);
        }
        let started = Instant::now();
        let bytes = wasm.len();
        let in_process = async |wasm: Bytes| {
            let engine = self.engine.clone();
            background::run(move || {
                // Held until the thread ends, even after a timeout: a thread cannot be stopped.
                let _permit = permit;
                engine.precompile_component(&wasm).map(Bytes::from)
            })
            .await
        };
        let code = match &self.program {
            None => in_process(wasm).await?,
            Some(program) => match program.compile(&wasm).await {
                Err(error @ ProgramError::Start(_)) => {
                    tracing::warn!(error = %ops::chain::chain(&error), "compiling in this process");
                    in_process(wasm).await?
                }
                code => code?,
            },
        };
        metrics::component_compiled();
        tracing::debug!(
            bytes,
            code_bytes = code.len(),
            took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "component compiled"
        );
        let engine = self.engine.clone();
        let loaded = code.clone();
        let component = background::run(move || cache::load(&engine, &loaded)).await?;
        if let (Some(key), Some(cache)) = (key, self.cache.clone()) {
            self.writer.store(cache, key.to_owned(), code, turn);
        }
        Ok(component)
    }

    /// Ends when everything stored so far is on disk.
    pub(super) fn cache_written(&self) -> impl Future<Output = ()> + Send + 'static {
        self.writer.clone().all_written()
    }
}

/// Does `work`, and tells if it takes longer than `patience`.
async fn told_when_slow<T>(
    work: impl Future<Output = T>,
    patience: Duration,
    tell: impl FnOnce(),
) -> T {
    let mut work = std::pin::pin!(work);
    match tokio::time::timeout(patience, &mut work).await {
        Ok(done) => done,
        Err(_elapsed) => {
            tell();
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_waits_for_long_is_told_what_for() {
        let (tell, told) = tokio::sync::oneshot::channel();
        // It ends only when somebody is told.
        let slow = told_when_slow(told, Duration::from_millis(1), || tell.send(()).unwrap());
        assert!(slow.await.is_ok());
        let quick = told_when_slow(async { 7 }, TIME_LIMIT, || panic!("told of what is done"));
        assert_eq!(quick.await, 7);
    }

    #[tokio::test]
    async fn a_file_whose_compile_does_not_come_to_an_end_is_refused() {
        let compiler = Compiler::new(Engine::default());
        let compiler = Compiler { time_limit: Duration::from_millis(1), ..compiler };
        // As long as another one has not ended, none begins.
        let permit = Arc::clone(&compiler.permits).acquire_owned().await.unwrap();
        let wasm = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let error = compiler.component(None, "it", wasm.clone()).await.unwrap_err();
        assert!(error.to_string().contains("takes longer than"), "{error}");
        drop(permit);
        let compiler = Compiler { time_limit: TIME_LIMIT, ..compiler };
        assert!(compiler.component(None, "it", wasm).await.is_ok());
    }

    #[tokio::test]
    async fn without_a_program_to_start_it_compiles_by_itself() {
        let compiler = Compiler::new(Engine::default());
        let program = CompilerProgram::new("/nowhere".into(), &crate::config::Ceilings::default());
        let compiler = compiler.with_program(Some(program));
        let wasm = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        assert!(compiler.component(None, "it", wasm).await.is_ok());
    }

    #[tokio::test]
    async fn a_program_that_gives_no_answer_refuses_the_file() {
        let compiler = Compiler::new(Engine::default());
        let program =
            CompilerProgram::new("/bin/false".into(), &crate::config::Ceilings::default());
        let compiler = compiler.with_program(Some(program));
        let wasm = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let error = compiler.component(None, "it", wasm).await.unwrap_err();
        assert!(error.to_string().contains("ended without an answer"), "{error}");
    }
}
