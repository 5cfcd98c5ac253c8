//! Flags that several programs and subcommands share.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;

use crate::secret::Secret;
use crate::telemetry::{LogFormat, Logging};
use crate::trace::TraceSettings;
use crate::trace::flags::TraceFlags;

/// How to reach Redis.
#[derive(Debug, Clone, clap::Args)]
pub struct RedisFlags {
    /// Address of Redis.
    #[arg(
        long,
        env = "REDIS_URL",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true
    )]
    pub redis_url: Secret<String>,
    /// File with the certificate (PEM) that must have signed Redis' own, for `rediss://`. Default: the system's
    /// certificates.
    #[arg(long, env = "REDIS_CA")]
    pub redis_ca: Option<PathBuf>,
}

impl RedisFlags {
    /// Reads the certificate that must have signed Redis' own; none to trust the system's certificates.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read_ca(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(path) = &self.redis_ca else { return Ok(None) };
        let bytes = std::fs::read(path);
        bytes.map(Some).with_context(|| format!("cannot read {}", path.display()))
    }

    /// What is wrong with the file with the certificate.
    pub fn problem(&self) -> Option<String> {
        self.read_ca().err().map(|error| format!("REDIS_CA: {error:#}"))
    }
}

/// How a service is observed.
#[derive(Debug, Clone, clap::Args)]
pub struct MonitoringFlags {
    /// Serve `/livez`, `/readyz`, `/healthz` and `/metrics` at this address, for instance `127.0.0.1:9464`. Off by default.
    #[arg(long, env = "LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Log lines for people (`text`) or for collectors (`json`).
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Which log lines are written: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module, for instance
    /// `info,queue=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log_filter: String,
    /// Where the spans of traces go.
    #[command(flatten)]
    pub traces: TraceFlags,
}

impl MonitoringFlags {
    /// How log lines look and which are written.
    pub fn logging(&self) -> Logging {
        Logging { format: self.log_format, filter: self.log_filter.clone() }
    }

    /// Where traces are sent; none when they are not.
    ///
    /// # Errors
    ///
    /// What is wrong, one line each.
    pub fn traces(&self) -> Result<Option<TraceSettings>, Vec<String>> {
        TraceSettings::read(&self.traces)
    }

    /// What is wrong with these settings, one line each.
    pub fn problems(&self) -> Vec<String> {
        let logging = self.logging().problem();
        logging.into_iter().chain(self.traces().err().unwrap_or_default()).collect()
    }
}

/// The file with settings.
#[derive(Debug, clap::Args)]
pub struct FileFlag {
    /// TOML file with settings (docs/configuration.md). What is set in the environment or by a flag wins. Default:
    /// `freefans.toml`, if there is one.
    #[arg(long, env = "CONFIG", global = true)]
    pub config: Option<PathBuf>,
}

/// What is kept of finished tasks.
#[derive(Debug, Clone, clap::Args)]
pub struct HistoryFlags {
    /// Keeps a history of finished tasks in Redis: who asked, what became of it and when, and counts for each minute and hour.
    /// Set it to the same for all workers and coordinators.
    #[arg(long, env = "HISTORY", default_value = "on", value_parser = ["on", "off"])]
    history: String,
    /// About how many finished tasks are kept (docs/operations.md says what they cost).
    #[arg(long, env = "HISTORY_MAX", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    history_max: u64,
    /// How many days a finished task is kept.
    #[arg(long, env = "HISTORY_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    history_days: u32,
    /// How much of questions, answers, reasons and the end of the plugin's log is kept: nothing, 200 characters, or all (at
    /// most 32,768 characters each, and 4,096 of the log).
    #[arg(long, env = "HISTORY_TEXTS", default_value = "off", value_parser = ["off", "short", "whole"])]
    history_texts: String,
}

impl HistoryFlags {
    /// What `make` makes of the number of tasks, the days and the word for texts; none when no history is kept.
    ///
    /// # Errors
    ///
    /// What `make` does not accept, as a problem of the settings.
    pub fn settings<T, E: Display>(
        &self,
        make: impl FnOnce(u64, u32, &str) -> Result<T, E>,
    ) -> Result<Option<T>, String> {
        if self.history != "on" {
            return Ok(None);
        }
        let made = make(self.history_max, self.history_days, &self.history_texts);
        made.map(Some).map_err(|error| format!("HISTORY_TEXTS: {error}"))
    }
}
