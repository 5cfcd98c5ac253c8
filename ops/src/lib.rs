//! What both binaries need and is not about tasks: start-up, settings, common flags, logs, health and metrics, systemd, shutdown,
//! retries, secrets, error chains.

pub mod chain;
pub mod doctor;
mod environment;
pub mod flags;
pub mod health;
pub mod health_command;
pub mod manual;
pub mod metric;
pub mod process_metrics;
pub mod retry;
pub mod secret;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod startup;
pub mod supervisor;
pub mod telemetry;
pub mod trace;
pub mod words;
