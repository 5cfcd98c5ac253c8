//! A profile of a plugin: which functions it is in, each millisecond that it runs.
//!
//! A guest is interrupted at each tick of the engine's clock anyway, where a function or a turn of a loop begins. There the
//! profile takes a sample of the functions on the stack. What the host does for the guest has none, except that the first function
//! after it gets one if there was a tick meanwhile.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{AsContext, Engine, GuestProfiler, WasmBacktrace};

/// Most tasks run for a few milliseconds, so a worker's tick is too long.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// The samples of all runs.
#[derive(Debug, Default)]
pub(crate) struct Profile(Mutex<Option<Sampling>>);

#[derive(Debug)]
struct Sampling {
    profiler: GuestProfiler,
    samples: u64,
}

impl Profile {
    /// Takes samples of instances of `component` from now on.
    ///
    /// # Errors
    ///
    /// When the engine cannot be profiled.
    pub(crate) fn begin(
        &self,
        engine: &Engine,
        name: &str,
        component: &Component,
    ) -> wasmtime::Result<()> {
        let profiler =
            GuestProfiler::new_component(engine, name, SAMPLE_EVERY, component.clone(), [])?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Sampling { profiler, samples: 0 });
        Ok(())
    }

    /// Takes a sample of the guest that runs in `store` and was interrupted.
    pub(crate) fn sample(&self, store: impl AsContext) {
        if WasmBacktrace::force_capture(&store).frames().is_empty() {
            return; // Its instance is being made.
        }
        let mut sampling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Sampling { profiler, samples }) = sampling.as_mut() {
            profiler.sample(store, SAMPLE_EVERY);
            *samples += 1;
        }
    }

    /// Ends it and writes it as Firefox Profiler's JSON, if there are samples. Returns their number.
    ///
    /// # Errors
    ///
    /// When `out` cannot be written to.
    pub(crate) fn finish<W: Write>(
        &self,
        out: impl FnOnce() -> std::io::Result<W>,
    ) -> wasmtime::Result<u64> {
        let sampling = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Sampling { profiler, samples }) = sampling.filter(|found| found.samples > 0)
        else {
            return Ok(0);
        };
        let mut out = out()?;
        profiler.finish(&mut out)?;
        out.flush()?;
        Ok(samples)
    }
}
