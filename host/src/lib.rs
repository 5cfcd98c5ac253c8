//! The worker host: claims tasks, runs each in a fresh WebAssembly instance, and stores its result.
//!
//! Plugins are components in a folder ([`swap`]). A changed file is loaded and checked ([`plugin::load`]), then published
//! with one pointer store ([`plugin::publish`]); running tasks end on the version that they started on. The operator
//! decides what a plugin may reach and use ([`plugin_config`], [`grants`]).
//!
//! Not here: Telegram, and the meaning of a task.

pub mod allocator;
pub mod archive;
pub mod bindings;
pub mod cli;
pub mod config;
mod diagnosis;
mod digest;
pub mod engine;
pub mod error;
mod facts;
mod fleet;
pub mod grants;
pub mod handler;
mod imports;
pub mod metrics;
pub mod oci;
pub mod offline;
pub mod plugin;
pub mod plugin_config;
pub mod replay;
mod runner;
mod sandbox;
mod spans;
pub mod swap;
pub mod trust;
pub mod version;
pub mod worker;
