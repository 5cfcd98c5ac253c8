//! The worker host: pulls tasks, runs each in a fresh WebAssembly instance, stores the result.
//!
//! Plugins are components in a folder ([`swap`]). A file that changes is checked completely ([`plugin::load`]) and
//! then put in force with one pointer store ([`plugin::publish::catalog`]); tasks under way end on the version they began with. What a
//! plugin may reach and use is the operator's word ([`plugin_config`], [`grants`]).
//!
//! Not here: Telegram, and what a task means.

pub mod archive;
pub mod bindings;
pub mod cli;
pub mod config;
pub mod engine;
pub mod error;
pub mod grants;
mod imports;
pub mod metrics;
pub mod offline;
pub mod plugin;
pub mod plugin_config;
mod runner;
mod sandbox;
pub mod swap;
pub mod version;
pub mod worker;
