//! `freefans:plugin/config`.

use crate::bindings::v1::config;
use crate::sandbox::Sandbox;

impl config::Host for Sandbox {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.around.settings.get(&key).cloned())
    }
}
