//! What our plugins share inside the sandbox: one HTTP request over `wasi:http`, tables, JSON piece by piece, clean
//! text, and settings that fit.
//!
//! Not here: what a request means. Plugins build requests and read answers as pure functions of their own.

pub mod address;
pub mod http;
pub mod json;
pub mod settings;
pub mod sheet;
pub mod text;
