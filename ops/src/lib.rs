//! What both binaries need and is not about tasks: telemetry, shutdown, secrets, error chains.

pub mod chain;
pub mod secret;
pub mod shutdown;
pub mod telemetry;
