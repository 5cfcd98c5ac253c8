//! Ctrl-C and SIGTERM.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;

/// Whether someone asked this command to end, by Ctrl-C or SIGTERM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on Ctrl-C only sets the flag, the same for all who ask.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        static STOP: Mutex<Option<Stop>> = Mutex::new(None);
        let mut known = STOP.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = &*known {
            return Ok(stop.clone());
        }
        let stop = Self::default();
        let flag = Arc::clone(&stop.0);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .context("listening for Ctrl-C")?;
        *known = Some(stop.clone());
        Ok(stop)
    }

    /// Asks everybody who holds this value to end.
    pub(crate) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
