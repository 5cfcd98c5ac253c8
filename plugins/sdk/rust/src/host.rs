//! What a plugin reaches outside itself: the worker in a component, what a test gives it natively.

#[cfg(target_family = "wasm")]
mod component;
mod kinds;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod native;

#[cfg(target_family = "wasm")]
pub(crate) use component::{cache_get, cache_set, config, data, log, progress, send_all};
pub use kinds::Level;
pub(crate) use kinds::NoData;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{cache_get, cache_set, config, data, log, progress, send_all};
