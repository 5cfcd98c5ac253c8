//! What our plugins share beside `freefans-plugin`: tables, JSON piece by piece, addresses of services, and settings that
//! fit.
//!
//! Not here: what a request means. Plugins build requests and read answers as pure functions of their own.

pub mod address;
pub mod json;
pub mod settings;
pub mod sheet;
pub mod text;
