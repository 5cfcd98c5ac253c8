//! Replaces a running plugin without losing a task.
//!
//! A candidate passes every check first and is then published with one pointer store. A task holds an `Arc` to the
//! version it started with, so the old code is freed when its last task ends. A candidate that fails is named in the
//! log, and the running version goes on.
//!
//! Not here: what makes a candidate acceptable ([`crate::plugin::load`]) and how a changed file is noticed
//! ([`watch`]).

pub(crate) mod fallback;
pub(crate) mod files;
pub mod folder;
pub mod rollback;
pub mod watch;
