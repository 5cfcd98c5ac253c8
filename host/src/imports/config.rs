//! `freefans:plugin/config`.

use crate::bindings::v1::config;
use crate::sandbox::Sandbox;

impl config::Host for Sandbox {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.env.settings.get(&key).cloned())
    }
}
