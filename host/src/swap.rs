//! Keeps the plugins in force in step with a folder, without losing a task.
//!
//! A file that changes ([`watch`], [`tracker`]) is loaded ([`crate::plugin::load`]) and published
//! ([`crate::plugin::publish`]). Each task holds an `Arc` to the version that it started on, so the old code is freed
//! after its last task. A refused candidate is logged, and the running version stays.

mod fallback;
pub(crate) mod files;
pub mod folder;
pub(crate) mod outcomes;
pub mod rollback;
mod tracker;
pub mod watch;
