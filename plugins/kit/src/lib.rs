//! What our plugins share inside the sandbox: one HTTP request over `wasi:http`, clean text, and settings that
//! fit.
//!
//! Not here: what a request means. Plugins build requests and read answers as pure functions of their own.

pub mod http;
pub mod settings;
pub mod text;
