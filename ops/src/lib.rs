//! What both binaries need and is not about tasks: logs, health and metrics, shutdown, secrets, error chains.

pub mod chain;
pub mod file;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod telemetry;
