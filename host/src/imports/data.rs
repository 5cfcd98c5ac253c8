//! `freefans:plugin/data`.

use crate::bindings::v1::data::{self, DataError};
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Limit;

impl data::Host for Sandbox {
    fn read(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, DataError>> {
        // Read when the plugin was loaded, so that the same name gives the same bytes to every instance of a version.
        let Some(bytes) = self.around.data.get(&name) else {
            return Ok(Err(DataError::NotGranted));
        };
        // All that one task reads must fit into its memory at once: time spent copying is on no other account.
        let Some(left) = self.data_left.checked_sub(bytes.len()) else {
            self.breaches.note(Limit::Memory);
            return Ok(Err(DataError::TooLarge(self.around.limits.memory_bytes as u64)));
        };
        self.data_left = left;
        Ok(Ok(bytes.to_vec()))
    }
}
