//! `freefans:plugin/data`.

use crate::bindings::v1::data::{self, DataError};
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Limit;

impl data::Host for Sandbox {
    fn read(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, DataError>> {
        // Read when the plugin was loaded, so that every instance of a version sees the same bytes.
        let Some(bytes) = self.env.data.get(&name) else {
            return Ok(Err(DataError::NotGranted));
        };
        // The sum of all reads is limited by the task's memory: copying counts against no other limit.
        let Some(left) = self.data_left.checked_sub(bytes.len()) else {
            self.breaches.note(Limit::Memory);
            return Ok(Err(DataError::TooLarge(self.env.limits.memory_bytes as u64)));
        };
        self.data_left = left;
        Ok(Ok(bytes.to_vec()))
    }
}
