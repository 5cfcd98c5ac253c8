//! Compiles one component at a time, at low priority and with a time limit. What is compiled can be cached on disk.

pub(crate) mod background;
pub mod cache;
mod cache_writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use self::cache::{CacheKey, PreparedCache};
use self::cache_writer::CacheWriter;
use crate::error::LoadError;

/// Longest compile, including the wait for the one before. A shipped plugin takes a second or two; a file made to keep
/// the compiler busy must not keep the folder from being scanned.
const TIME_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
#[error("compilation takes longer than {seconds} s")]
struct TimedOut {
    seconds: u64,
}

/// Turns a compiler error into the refusal of the file.
pub(super) fn refusal(path: &Path, source: wasmtime::Error) -> LoadError {
    let path = path.to_owned();
    match source.downcast_ref::<TimedOut>() {
        Some(TimedOut { seconds }) => LoadError::CompileTime { path, seconds: *seconds },
        None => LoadError::Compile { path, source },
    }
}

/// The compiler of the process.
#[derive(Debug)]
pub(super) struct Compiler {
    engine: Engine,
    /// One compile at a time: more would take processor time from running tasks.
    permits: Arc<tokio::sync::Semaphore>,
    time_limit: Duration,
    cache: Option<PreparedCache>,
    writer: CacheWriter,
}

impl Compiler {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            permits: Arc::new(tokio::sync::Semaphore::new(1)),
            time_limit: TIME_LIMIT,
            cache: None,
            writer: CacheWriter::new(),
        }
    }

    pub(super) fn with_cache(self, cache: Option<PreparedCache>) -> Self {
        Self { cache, ..self }
    }

    /// Compiles a component, and builds the memory images that its instances map.
    pub(super) async fn compile(&self, wasm: Bytes) -> wasmtime::Result<Component> {
        let engine = self.engine.clone();
        let permits = Arc::clone(&self.permits);
        let compiled = async {
            let permit = permits.acquire_owned().await; // Never closed.
            background::run(move || {
                // Held until the thread ends, even after a timeout: a thread cannot be stopped.
                let _permit = permit;
                let component = Component::from_binary(&engine, &wasm)?;
                component.initialize_copy_on_write_image()?;
                Ok(component)
            })
            .await
        };
        let limit = self.time_limit;
        tokio::time::timeout(limit, compiled)
            .await
            .unwrap_or_else(|_elapsed| Err(TimedOut { seconds: limit.as_secs() }.into()))
    }

    /// Compiles an instrumented component. The same file with other data or settings is found in the cache.
    pub(super) async fn compile_instrumented(
        &self,
        digest: &str,
        wasm: Bytes,
    ) -> wasmtime::Result<Component> {
        let mut key = CacheKey::new(&self.engine);
        key.add(b"before init");
        key.add(digest.as_bytes());
        let key = key.finish();
        if let Some(cached) = self.cached(&key).await {
            return Ok(cached);
        }
        let component = self.compile(wasm).await?;
        self.store(&key, component.clone());
        Ok(component)
    }

    pub(super) async fn cached(&self, key: &str) -> Option<Component> {
        let cache = self.cache.clone()?;
        let engine = self.engine.clone();
        let key = key.to_owned();
        let reading = tokio::task::spawn_blocking(move || cache.get(&engine, &key));
        reading.await.ok().flatten()
    }

    /// Stores a component for the next start, in the background: writing takes as long as a swap may.
    pub(super) fn store(&self, key: &str, component: Component) {
        if let Some(cache) = self.cache.clone() {
            self.writer.store(cache, key.to_owned(), component);
        }
    }

    /// Ends when everything stored so far is on disk.
    pub(super) fn cache_written(&self) -> impl Future<Output = ()> + Send + 'static {
        self.writer.clone().all_written()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_whose_compile_does_not_come_to_an_end_is_refused() {
        let compiler = Compiler::new(Engine::default());
        let compiler = Compiler { time_limit: Duration::from_millis(1), ..compiler };
        // As long as another one has not ended, none begins.
        let permit = Arc::clone(&compiler.permits).acquire_owned().await.unwrap();
        let wasm = Bytes::from_static(b"\0asm\x0d\0\x01\0");
        let error = compiler.compile(wasm.clone()).await.unwrap_err();
        assert!(error.to_string().contains("takes longer than"), "{error}");
        drop(permit);
        let compiler = Compiler { time_limit: TIME_LIMIT, ..compiler };
        assert!(compiler.compile(wasm).await.is_ok());
    }
}
