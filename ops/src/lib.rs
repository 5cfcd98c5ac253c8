//! What both binaries need and is not about tasks: logs, health and metrics, shutdown, secrets, settings in
//! the environment, error chains.

pub mod chain;
pub mod environment;
pub mod file;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod telemetry;
