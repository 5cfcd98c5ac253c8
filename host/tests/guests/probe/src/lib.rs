//! A guest for the host's tests: it does what a task type's name says, good or bad.

#[cfg(target_family = "wasm")]
mod guest;
