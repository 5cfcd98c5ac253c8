//! `freefans:plugin/data`.

use crate::bindings::v1::data::{self, DataError};
use crate::sandbox::Sandbox;

impl data::Host for Sandbox {
    fn read(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, DataError>> {
        // Read when the plugin was loaded, so that the same name gives the same bytes to every instance of a version.
        Ok(self.around.data.get(&name).map(|bytes| bytes.to_vec()).ok_or(DataError::NotGranted))
    }
}
