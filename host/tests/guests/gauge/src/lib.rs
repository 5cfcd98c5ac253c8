//! A guest to measure the host with. It does as little as possible.

#[cfg(target_family = "wasm")]
mod guest;
