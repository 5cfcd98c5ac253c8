//! What both binaries need and is not about tasks: start-up, common flags, logs, health and metrics, shutdown, retries, secrets,
//! error chains.

pub mod chain;
mod environment;
pub mod flags;
pub mod retry;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod startup;
pub mod telemetry;
