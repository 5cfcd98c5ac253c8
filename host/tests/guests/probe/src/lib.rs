//! A guest for the host's tests. It does what the name of the task type says, good or bad.

#[cfg(target_family = "wasm")]
mod guest;
