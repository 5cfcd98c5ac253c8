//! Puts a checked version in force.

pub mod catalog;
pub mod data_guard;
pub mod history;
pub(crate) mod ownership;
