//! `worker plugins …`: what a worker would make of a plugin, without one.
//!
//! Exit codes: 0 well, 1 refused or failed, 64 the call was wrong (sysexits.h).

mod kept;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use queue::{QueueConfig, Task, TaskQueue, TaskType};
use serde_json::{Map, Value, json};

use super::{KeptFolder, RedisFlags};
use crate::archive::{KeptVersion, KeptVersions};
use crate::offline::{Bench, Examined, Ran};
use crate::plugin::load::stem;
use crate::plugin::publish::catalog::PluginCatalog;
use crate::plugin::publish::ownership;
use crate::swap::files;

/// Shows, checks and tries out plugins.
#[derive(Debug, clap::Args)]
pub struct PluginsCommand {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every plugin in a folder, what a worker would make of it, and which versions are kept.
    List {
        /// The folder.
        #[arg(default_value = "./plugins", env = "PLUGINS")]
        folder: PathBuf,
        #[command(flatten)]
        kept: KeptFolder,
    },
    /// Prepares every plugin in a folder, so that a worker's start neither compiles nor runs `init`.
    Precompile {
        /// The folder.
        #[arg(default_value = "./plugins", env = "PLUGINS")]
        folder: PathBuf,
        #[command(flatten)]
        kept: KeptFolder,
    },
    /// Puts the last good version of a plugin in place again.
    Rollback {
        /// The plugin: its file's name without `.wasm`.
        plugin: String,
        /// The version, by its id or digest as `list` shows them; the last good one before the one in place without it.
        #[arg(long)]
        to: Option<String>,
        /// Brings the settings back that it ran with; those in place stay without it.
        #[arg(long)]
        with_settings: bool,
        /// The folder.
        #[arg(long, default_value = "./plugins", env = "PLUGINS")]
        plugins: PathBuf,
        #[command(flatten)]
        kept: KeptFolder,
    },
    /// Forgets that versions of a plugin were rolled back, which are tried once more, and takes its data files as they
    /// are now, however little of them is left.
    Accept {
        /// The plugin: its file's name without `.wasm`.
        plugin: String,
        /// The folder.
        #[arg(long, default_value = "./plugins", env = "PLUGINS")]
        plugins: PathBuf,
        #[command(flatten)]
        kept: KeptFolder,
    },
    /// What happened to plugins on all workers, newest first.
    History {
        #[command(flatten)]
        redis: RedisFlags,
        /// At most so many entries.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        count: u16,
    },
    /// What a plugin is: task types and schemas, imports and exports, size and digest.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Whether a worker would accept a plugin with the settings beside it, and if not, why.
    Check {
        /// The component.
        file: PathBuf,
    },
    /// Runs one task and prints its result. What the plugin says goes to standard error.
    Run {
        /// The component.
        file: PathBuf,
        /// The task type.
        #[arg(long)]
        task_type: TaskType,
        /// The params: a JSON object.
        #[arg(long, default_value = "{}")]
        params: String,
        /// Who asks.
        #[arg(long, default_value_t = 0)]
        user_id: i64,
        /// One more grant than the settings give: `net=https://host`, `data.NAME=FILE`, `cache`.
        #[arg(long)]
        allow: Vec<String>,
        /// Runs it so many times, and says how long it took.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        repeat: u16,
    },
}

impl PluginsCommand {
    /// Carries it out and writes what there is to say to `out`; false when something was refused or failed.
    ///
    /// # Errors
    ///
    /// When the call is wrong or this machine has no engine for it.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        match self.action {
            Action::List { folder, kept } => {
                let files = components(&folder)?;
                let kept = kept::open_existing(kept.folder().as_deref(), &folder)?;
                let (prepared, versions) = kept.unzip();
                let bench = new_bench()?.with_prepared(prepared).with_versions(versions.clone());
                let mut examined = Vec::new();
                for file in files {
                    examined.push(examine(&bench, &file, &[]).await?);
                }
                refuse_what_others_have(&mut examined, versions.as_ref());
                let well = examined.iter().all(|examined| examined.loaded.is_ok());
                let mut rows = Vec::new();
                for examined in examined {
                    let name = stem(&examined.path);
                    let versions = versions.as_ref().map(|versions| versions.of(&name));
                    let versions = versions.unwrap_or_default();
                    if self.json {
                        rows.push(facts(&examined, Some(&versions)));
                    } else {
                        writeln!(out, "{}", line(&examined))?;
                        kept::write_versions(out, &versions)?;
                    }
                }
                if self.json {
                    writeln!(out, "{:#}", Value::Array(rows))?;
                }
                Ok(well)
            }
            Action::Precompile { folder, kept } => {
                let files = components(&folder)?;
                let (prepared, _) = kept::open(kept.folder().as_deref(), &folder)?;
                let bench = new_bench()?.with_prepared(Some(prepared));
                let mut well = true;
                for file in files {
                    let examined = examine(&bench, &file, &[]).await?;
                    well &= examined.loaded.is_ok();
                    writeln!(out, "{} in {:.2?}", line(&examined), examined.load_time)?;
                }
                Ok(well)
            }
            Action::Rollback { plugin, to, with_settings, plugins, kept } => {
                let (_, versions) = kept::open(kept.folder().as_deref(), &plugins)?;
                let how = (to.as_deref(), with_settings);
                kept::put_back(out, self.json, &versions, &plugins, &plugin, how)?;
                Ok(true)
            }
            Action::Accept { plugin, plugins, kept } => {
                let (_, versions) = kept::open(kept.folder().as_deref(), &plugins)?;
                kept::accept(out, &versions, &plugins, &plugin)
            }
            Action::History { redis, count } => {
                let redis_ca = ops::file::read_optional(redis.redis_ca.as_deref())?;
                let config = QueueConfig { redis_ca, ..QueueConfig::default() };
                let queue = TaskQueue::connect(redis.redis_url.expose(), config).await?;
                kept::write_history(out, self.json, &queue.plugin_events(count.into()).await?)?;
                Ok(true)
            }
            Action::Inspect { file } => {
                let examined = examine(&new_bench()?, &file, &[]).await?;
                match self.json {
                    true => writeln!(out, "{:#}", facts(&examined, None))?,
                    false => inspect(out, &examined)?,
                }
                Ok(examined.anatomy.is_some())
            }
            Action::Check { file } => {
                let examined = examine(&new_bench()?, &file, &[]).await?;
                let refusal = examined.refusal();
                match (self.json, refusal.is_empty()) {
                    (true, accepted) => {
                        writeln!(out, "{:#}", json!({"accepted": accepted, "refusal": refusal}))?;
                    }
                    (false, true) => writeln!(out, "{}", line(&examined))?,
                    (false, false) => {
                        writeln!(out, "{} would be refused:", file.display())?;
                        for reason in &refusal {
                            writeln!(out, "  {reason}")?;
                        }
                    }
                }
                Ok(refusal.is_empty())
            }
            Action::Run { file, task_type, params, user_id, allow, repeat } => {
                let params: Map<String, Value> = serde_json::from_str(&params)
                    .context("--params takes a JSON object, for instance '{\"query\":\"luna\"}'")?;
                let bench = new_bench()?;
                let examined = examine(&bench, &file, &allow).await?;
                let load_time = examined.load_time;
                let version = examined.loaded?;
                anyhow::ensure!(
                    version.task_types().any(|known| *known == task_type),
                    "{} does not handle `{task_type}`; it handles {}",
                    file.display(),
                    version.task_types().map(TaskType::as_str).collect::<Vec<_>>().join(", ")
                );
                let task = Task::new(task_type, user_id, params);
                let ran = bench.run(&version, &task, usize::from(repeat)).await;
                let Some(first) = ran.first() else { return Ok(false) };
                writeln!(out, "{:#}", serde_json::to_value(&first.result)?)?;
                if 1 < repeat {
                    writeln!(out, "{}", times(load_time, &ran))?;
                }
                Ok(ran.iter().all(|ran| ran.result.success))
            }
        }
    }
}

fn new_bench() -> anyhow::Result<Bench> {
    Bench::new().map_err(anyhow::Error::from)
}

async fn examine(bench: &Bench, file: &Path, allow: &[String]) -> anyhow::Result<Examined> {
    bench.examine(file, allow).await.map_err(anyhow::Error::msg)
}

/// The components of a folder by name.
fn components(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    files::components(folder).with_context(|| {
        format!("cannot read the plugin folder {}; name another", folder.display())
    })
}

/// Of files that offer the same, a worker takes one.
fn refuse_what_others_have(examined: &mut [Examined], versions: Option<&KeptVersions>) {
    let mut loaded: Vec<_> =
        examined.iter().filter_map(|examined| examined.loaded.as_ref().ok().cloned()).collect();
    let owners = versions.map(KeptVersions::owners).unwrap_or_default();
    ownership::order(&mut loaded, &owners);
    let catalog = PluginCatalog::default();
    for version in loaded {
        let path = version.path.clone();
        if let Err(error) = catalog.publish(version)
            && let Some(refused) = examined.iter_mut().find(|examined| examined.path == path)
        {
            refused.loaded = Err(error);
        }
    }
}

fn line(examined: &Examined) -> String {
    let file = examined.path.file_name().unwrap_or_default().to_string_lossy();
    match &examined.loaded {
        Ok(version) => format!(
            "{file}: {} {} handles {} (sha256 {:.12}, {})",
            version.descriptor.name,
            version.descriptor.version,
            version.task_types().map(TaskType::as_str).collect::<Vec<_>>().join(", "),
            version.digest,
            if version.prepared() { "prepared once" } else { "`init` runs for each task" },
        ),
        Err(_) => format!("{file}: refused: {}", examined.refusal().join(": ")),
    }
}

fn facts(examined: &Examined, kept: Option<&[KeptVersion]>) -> Value {
    let described = examined.loaded.as_ref().ok().map(|version| {
        let types: Vec<Value> = version
            .descriptor
            .task_types
            .iter()
            .map(|described| {
                json!({
                    "name": described.name, "summary": described.summary,
                    "params_schema": described.params_schema,
                })
            })
            .collect();
        json!({
            "name": version.descriptor.name, "version": version.descriptor.version,
            "task_types": types, "commands": version.descriptor.commands,
            "prepared": version.prepared(), "told": version.told, "data": version.data,
        })
    });
    json!({
        "file": examined.path, "anatomy": examined.anatomy, "plugin": described,
        "accepted": examined.loaded.is_ok(), "refusal": examined.refusal(), "kept": kept,
    })
}

fn inspect(out: &mut impl Write, examined: &Examined) -> anyhow::Result<()> {
    writeln!(out, "{}", line(examined))?;
    if let Some(anatomy) = &examined.anatomy {
        writeln!(out, "\n{} KiB, sha256 {}", anatomy.bytes.div_ceil(1024), anatomy.digest)?;
        for (what, names) in [("imports", &anatomy.imports), ("exports", &anatomy.exports)] {
            writeln!(out, "\n{what}:")?;
            for name in names {
                writeln!(out, "  {name}")?;
            }
        }
    }
    if let Ok(version) = &examined.loaded {
        if !version.told.is_empty() {
            writeln!(out, "\nsaid by `init`:")?;
        }
        for line in &version.told {
            writeln!(out, "  {line}")?;
        }
        if !version.descriptor.commands.is_empty() {
            writeln!(out, "\nchat commands:")?;
        }
        for command in &version.descriptor.commands {
            writeln!(
                out,
                "  /{} asks for {}: {}",
                command.name, command.task_type, command.description
            )?;
        }
        for described in &version.descriptor.task_types {
            writeln!(out, "\n{}: {}", described.name, described.summary)?;
            writeln!(out, "{:#}", described.params_schema)?;
        }
    }
    Ok(())
}

fn times(load: Duration, ran: &[Ran]) -> String {
    let mut later: Vec<Duration> = ran.iter().skip(1).map(|ran| ran.took).collect();
    later.sort_unstable();
    let at = |share: usize| {
        let place = (later.len() * share / 100).min(later.len().saturating_sub(1));
        later.get(place).copied().unwrap_or_default()
    };
    let first = ran.first().map(|ran| ran.took).unwrap_or_default();
    let peak = ran
        .iter()
        .filter_map(|ran| ran.result.metadata.get("peak_memory_bytes").and_then(Value::as_u64));
    #[expect(clippy::cast_precision_loss, reason = "bytes below 2^52")]
    let peak = peak.max().unwrap_or(0) as f64 / f64::from(1 << 20);
    format!(
        "loaded in {load:.2?}; first run {first:.2?}; then median {:.2?}, 99 % {:.2?}, of {} runs; at most {peak:.1} MiB of memory",
        at(50),
        at(99),
        later.len()
    )
}
