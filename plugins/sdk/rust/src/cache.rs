//! A small store that outlives a task, shared by all workers and private to the plugin.
//!
//! An entry may be gone at any time, and a plugin must be right without it. So nothing here fails: what cannot be read is not
//! there, and what cannot be stored is not stored. `cache = true` under `[grants]` turns it on.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host;

/// The value under `key`, if there is one.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::cache_get(key)
}

/// Stores `value` for so many seconds, which the host caps. Whether it is stored.
pub fn set(key: &str, value: &[u8], seconds: u32) -> bool {
    host::cache_set(key, value, seconds)
}

/// Removes what is under `key`.
pub fn remove(key: &str) {
    host::cache_set(key, &[], 0);
}

/// The value under `key`, or what `make` makes, which is then stored for so many seconds. An entry of another type is made anew.
///
/// # Errors
///
/// Those of `make`.
pub fn get_or<T, E>(key: &str, seconds: u32, make: impl FnOnce() -> Result<T, E>) -> Result<T, E>
where
    T: Serialize + DeserializeOwned,
{
    let stored = get(key).and_then(|entry| serde_json::from_slice(&entry).ok());
    if let Some(value) = stored {
        return Ok(value);
    }
    let value = make()?;
    if let Ok(entry) = serde_json::to_vec(&value) {
        set(key, &entry, seconds);
    }
    Ok(value)
}
