//! `freefans:plugin/log`.

use crate::bindings::v1::log;
use crate::sandbox::Sandbox;
use crate::sandbox::output::Level;

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.output.log(level, &message);
        Ok(())
    }
}
