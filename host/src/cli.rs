//! The command line of `worker`: run tasks, or work with plugins without a queue.

pub mod compile;
pub mod dev;
pub mod doctor;
mod flags;
pub mod fleet;
pub mod plugins;
mod view_text;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};
use ops::flags::{FileFlag, HistoryFlags, MonitoringFlags, RedisFlags};
use ops::health_command::HealthCommand;
use ops::manual::{CompletionsCommand, ManCommand};
use ops::settings::show::ConfigCommand;
use queue::history::HistorySettings;

use self::flags::{CacheFlag, TrustFlags, label};
use crate::config::{Ceilings, FleetConfig, HostConfig};
use crate::plugin::compile::program;

/// Runs tasks in WebAssembly plugins that are replaced while it runs.
#[derive(Debug, Parser)]
#[command(name = "worker", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The subcommand; without one the worker runs tasks.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The worker's settings.
    #[command(flatten)]
    pub serve: Serve,
    /// Where more of them stand.
    #[command(flatten)]
    pub file: FileFlag,
}

/// What to do instead of running tasks.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Makes, shows, checks, runs and signs plugins.
    Plugins(plugins::PluginsCommand),
    /// Runs a plugin while it is written: Redis, a simulated Telegram, a coordinator and a worker.
    Dev(dev::DevCommand),
    /// Pushes plugins to all workers that run with --fleet, and shows what they run.
    Fleet(fleet::FleetCommand),
    /// Asks the worker that runs here whether it is alive or ready.
    Health(HealthCommand),
    /// Checks and shows the settings, and where each comes from.
    Config(ConfigCommand<Serve>),
    /// Checks settings, machine, Redis and plugins, and says what mends what is wrong.
    Doctor(doctor::DoctorCommand<Serve>),
    /// Prints completions for a shell.
    Completions(CompletionsCommand),
    /// Prints or writes man pages.
    Man(ManCommand),
    /// Compiles one component for a worker.
    #[command(hide = true)]
    Compile(compile::CompileCommand),
}

/// How to run tasks.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Folder with `*.wasm` and their `*.toml`. Changes take effect at once.
    #[arg(long, env = "PLUGINS", default_value = "./plugins")]
    plugins: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
    #[command(flatten)]
    trust: TrustFlags,
    /// Files that stop changing are loaded at once. Files that never stop are loaded after this time, in seconds, and
    /// again when they have changed.
    #[arg(long, env = "PLUGIN_WAIT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    plugin_wait_seconds: u64,
    /// Also run the plugins that were pushed to the fleet (`worker fleet push`). A plugin in the folder has priority.
    #[arg(long, env = "FLEET", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    fleet: bool,
    /// A label of this worker, for instance `gpu` or `zone=eu`. A push may ask for labels. Repeatable, or separated by commas.
    #[arg(long = "label", env = "LABELS", value_delimiter = ',', value_parser = label)]
    labels: Vec<String>,
    /// Folder with `NAME.toml` that say what the fleet's plugins may reach and use here. Default: the plugin folder.
    #[arg(long, env = "FLEET_GRANTS")]
    fleet_grants: Option<PathBuf>,
    /// Where the fleet's components may be fetched besides Redis: the beginning of an address, `oci://registry.example/team` or
    /// `file:///mnt/plugins`. Repeatable, or separated by commas. Default: nowhere.
    #[arg(
        long = "fleet-source",
        env = "FLEET_SOURCES",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    fleet_sources: Vec<String>,
    #[command(flatten)]
    redis: RedisFlags,
    #[command(flatten)]
    history: HistoryFlags,
    /// Tasks run at once, 1 to 1000. Default: 8 for each core, and at least 16. More helps only tasks that wait, for instance for a
    /// web server: as many as tasks per second, times the seconds that each takes.
    #[arg(long, env = "CONCURRENCY", default_value_t = default_concurrency(), hide_default_value = true, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// How long a shutdown waits for running tasks, in seconds. Then they are returned to the queue.
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 25)]
    drain_seconds: u64,
    /// Keeps each task that fails in a plugin as a file in this folder: the params, which may be what a person typed, and every answer
    /// that the plugin got. `worker plugins run --replay` repeats it (docs/plugins/testing.md). At most 100, for a day. Default: none.
    #[arg(long, env = "RECORD_FAILED", value_name = "FOLDER")]
    record_failed: Option<PathBuf>,
    #[command(flatten)]
    monitoring: MonitoringFlags,
}

/// No-op tasks gain nothing from more (docs/performance.md).
fn default_concurrency() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores.saturating_mul(8)).unwrap_or(1_000).clamp(16, 1_000)
}

impl Serve {
    /// How the program is observed.
    pub fn monitoring(&self) -> &MonitoringFlags {
        &self.monitoring
    }

    /// What is wrong with the settings, one line each. Nothing is connected to.
    pub fn problems(self) -> Vec<String> {
        let mut problems = self.file_problems();
        problems.extend(self.into_config().err().unwrap_or_default());
        problems
    }

    /// What `worker doctor` looks at.
    pub fn subject(self) -> doctor::Subject {
        doctor::Subject {
            problems: self.file_problems(),
            redis: self.redis.clone(),
            listen: self.monitoring.listen,
            config: self.into_config(),
        }
    }

    /// What is wrong with the log's filter, the export of traces and the files that settings name.
    fn file_problems(&self) -> Vec<String> {
        let mut problems = self.monitoring.problems();
        problems.extend(self.redis.problem());
        problems
    }

    /// The configuration that these flags stand for.
    ///
    /// # Errors
    ///
    /// What is wrong with the trusted keys, one line each.
    pub fn into_config(self) -> Result<HostConfig, Vec<String>> {
        Ok(HostConfig {
            history: self
                .history
                .settings(HistorySettings::new)
                .map_err(|problem| vec![problem])?,
            redis: self.redis,
            plugins: self.plugins,
            trust: self.trust.policy()?,
            plugin_cache: self.cache.folder(),
            compiler: program::this_program(),
            plugin_wait: Duration::from_secs(self.plugin_wait_seconds),
            concurrency: usize::from(self.concurrency),
            drain: Duration::from_secs(self.drain_seconds),
            listen: self.monitoring.listen,
            record_failed: self.record_failed,
            ceilings: Ceilings::default(),
            fleet: self.fleet.then_some(FleetConfig {
                labels: self.labels,
                grants: self.fleet_grants,
                sources: self.fleet_sources,
            }),
        })
    }
}
