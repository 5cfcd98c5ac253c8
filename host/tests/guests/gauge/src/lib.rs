//! A guest to measure the host with: what it does is as little as can be.

#[cfg(target_family = "wasm")]
mod guest;
