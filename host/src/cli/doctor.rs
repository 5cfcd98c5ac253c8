//! `worker doctor`: what is wrong here, and what mends it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use ops::doctor::{Report, Verdict};
use ops::flags::RedisFlags;
use ops::startup::Startup;
use queue::admin::examine;
use queue::{QueueConfig, Side};

use super::plugins::folders;
use super::plugins::output::{inspect, summary};
use crate::config::HostConfig;
use crate::offline::OfflineHost;
use crate::plugin::compile::cache::PreparedCache;

/// What a task with large data may take beside the worker itself.
const MEMORY_BYTES: u64 = 512 << 20;

/// Checks settings, machine, Redis, the plugin folder and the cache, and says what mends what is wrong. Changes nothing but the
/// cache, and may run beside a worker. Exit code 0 when nothing fails, 1 otherwise.
#[derive(Debug, clap::Args)]
pub struct DoctorCommand<S: clap::Args> {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: S,
}

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    /// What is wrong with the files that settings name.
    pub problems: Vec<String>,
    /// How to reach Redis.
    pub redis: RedisFlags,
    /// The address to serve health and metrics at.
    pub listen: Option<SocketAddr>,
    /// The configuration, or what is wrong with it.
    pub config: Result<HostConfig, Vec<String>>,
}

impl<S: clap::Args> DoctorCommand<S> {
    /// Runs the command and writes its output to `out`. `subject` reads the settings. Returns whether nothing failed.
    ///
    /// # Errors
    ///
    /// When the engine cannot be built, or `out` not be written to.
    pub async fn run(
        self,
        startup: &Startup,
        subject: impl FnOnce(S) -> Subject,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let Subject { problems, redis, listen, config } = subject(self.settings);
        let mut report = Report::default();
        let mut problems = [startup.problems(), &problems].concat();
        problems.extend(config.as_ref().err().into_iter().flatten().cloned());
        report.settings(&problems);
        report.machine(MEMORY_BYTES, listen);
        let redis_ca = redis.read_ca().unwrap_or_default(); // A problem of the settings, told above.
        let queue_config =
            QueueConfig { redis_ca, side: Some(Side::Worker), ..QueueConfig::default() };
        for finding in examine(redis.redis_url.expose(), queue_config).await {
            let verdict = finding.wellness.choose(Verdict::Ok, Verdict::Warning, Verdict::Fail);
            report.add(verdict, "Redis", &finding.found, &finding.mend);
        }
        if let Ok(config) = config {
            let cache = cache(&config, &mut report);
            plugins(config, cache, &mut report).await?;
        }
        Ok(report.write(out, self.json)?)
    }
}

fn cache(config: &HostConfig, report: &mut Report) -> Option<PreparedCache> {
    const WHAT: &str = "cache";
    let Some(folder) = &config.plugin_cache else {
        let verdict = if config.fleet.is_some() { Verdict::Fail } else { Verdict::Warning };
        let found = "none: plugins are compiled at each start, and no good version is kept";
        report.add(verdict, WHAT, found, "name a folder with --plugin-cache (PLUGIN_CACHE)");
        return None;
    };
    match PreparedCache::open(folder) {
        Ok(cache) => {
            report.ok(WHAT, &format!("{} can be written", folder.display()));
            Some(cache)
        }
        Err(error) => {
            let found = format!("{}: {error}", folder.display());
            let mend = "make it this user's own folder (chown, chmod 700), or name another with --plugin-cache";
            report.add(Verdict::Fail, WHAT, &found, mend);
            None
        }
    }
}

async fn plugins(
    config: HostConfig,
    cache: Option<PreparedCache>,
    report: &mut Report,
) -> anyhow::Result<()> {
    const WHAT: &str = "plugins";
    let folder: &Path = &config.plugins;
    let files = match folders::components(folder) {
        Ok(files) => files,
        Err(error) => {
            let mend = "make it, or name another with --plugins (PLUGINS)";
            report.add(Verdict::Fail, WHAT, &format!("{error:#}"), mend);
            return Ok(());
        }
    };
    if files.is_empty() && config.fleet.is_none() {
        let found = format!("{} has no *.wasm", folder.display());
        let mend = "put some there: `cargo xtask build-plugins`, or `worker plugins pull`";
        report.add(Verdict::Fail, WHAT, &found, mend);
    }
    let host = OfflineHost::new()?.with_cache(cache).with_trust(config.trust);
    for file in files {
        let inspection = inspect(&host, &file).await?;
        let found = summary(&inspection);
        if inspection.loaded.is_ok() {
            report.ok(WHAT, &found);
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            for warning in inspection.warnings() {
                let found = format!("{name}: {warning}");
                report.add(Verdict::Warning, WHAT, &found, "");
            }
        } else {
            let mend =
                format!("`worker plugins check {}` says the same after a change", file.display());
            report.add(Verdict::Fail, WHAT, &found, &mend);
        }
    }
    Ok(())
}
