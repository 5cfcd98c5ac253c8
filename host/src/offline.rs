//! Inspects and runs plugins without a queue, with the code that a worker uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use queue::{Finish, Handled, Lease, Task, TaskResult};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use wasmtime::Engine;

use crate::archive::VersionArchive;
use crate::bindings::Descriptor;
use crate::config::Ceilings;
use crate::diagnosis::Diagnosis;
use crate::engine::{self, ForAuthor};
use crate::error::LoadError;
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::load::{ComponentInfo, Loader};
use crate::plugin::publish::data_loss;
use crate::plugin_config::PluginConfig;
use crate::replay::case::Case;
use crate::replay::outside::Outside;
use crate::replay::world::World;
use crate::runner;
use crate::trust::Policy;
use crate::version::PluginVersion;

/// As long as a task from a chat may take.
const TIME_TO_LIVE: Duration = Duration::from_secs(120);

/// A host without Redis that runs one task at a time.
#[derive(Debug)]
pub struct OfflineHost {
    loader: Loader,
    ceilings: Ceilings,
}

/// What a worker would make of a file.
#[derive(Debug)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its contents; none when it is not a component.
    pub component: Option<ComponentInfo>,
    /// The version, or why a worker would refuse it.
    pub loaded: Result<Arc<PluginVersion>, LoadError>,
    /// How long loading took, including the compiler and `init`.
    pub load_time: Duration,
}

impl Inspection {
    /// Why a worker would refuse the file, one line for each cause. Empty when it would accept it.
    pub fn refusal(&self) -> Vec<String> {
        let first = self.loaded.as_ref().err().map(|error| error as &dyn std::error::Error);
        std::iter::successors(first, |error| error.source())
            // A parser may quote several lines, and a guest may imitate our lines.
            .map(|cause| cause.to_string().replace(char::is_control, " "))
            .map(|cause| cause.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// What is probably a mistake and not refused, one line each. Empty when the file is refused.
    pub fn warnings(&self) -> &[String] {
        self.loaded.as_ref().map_or(&[], |version| &version.warnings)
    }
}

/// The result of one run.
#[derive(Debug)]
pub struct RunReport {
    /// The task's result.
    pub result: TaskResult,
    /// The last lines that the plugin wrote; none when it wrote nothing.
    pub log: Option<String>,
    /// What a worker would do then.
    pub finish: Finish,
    /// What the plugin's author must know: limits that it reached, and why its answer cannot be used.
    pub remarks: Vec<String>,
    /// How long it took, including the instance.
    pub duration: Duration,
}

impl OfflineHost {
    /// A host on this machine.
    ///
    /// # Errors
    ///
    /// When the engine cannot be built.
    pub fn new() -> wasmtime::Result<Self> {
        Self::of(engine::build(1, &Ceilings::default())?)
    }

    /// A host for a plugin's author, who looks into the runs with `diagnosis`. With `lines` of the source in backtraces it does
    /// not share compiled code with workers.
    pub(crate) fn for_author(lines: bool, diagnosis: &Arc<Diagnosis>) -> wasmtime::Result<Self> {
        let core_dumps = diagnosis.core_dump.is_some();
        let author = ForAuthor { lines, core_dumps, tick: diagnosis.tick() };
        let host = Self::of(engine::for_author(&Ceilings::default(), author)?)?;
        Ok(Self { loader: host.loader.with_diagnosis(Arc::clone(diagnosis)), ..host })
    }

    fn of(engine: Engine) -> wasmtime::Result<Self> {
        let ceilings = Ceilings::default();
        Ok(Self { loader: Loader::new(engine, ceilings, None)?, ceilings })
    }

    /// Compiles a component once, and not a second time with the memory that `init` left. For checks only: a run takes longer.
    #[must_use]
    pub fn without_snapshots(self) -> Self {
        Self { loader: self.loader.without_snapshots(), ..self }
    }

    /// Uses a worker's cache of prepared plugins, and adds to it.
    #[must_use]
    pub fn with_cache(self, cache: Option<PreparedCache>) -> Self {
        Self { loader: self.loader.with_cache(cache), ..self }
    }

    /// Refuses versions that were rolled back, as a worker does.
    #[must_use]
    pub fn with_archive(self, archive: Option<VersionArchive>) -> Self {
        Self { loader: self.loader.with_archive(archive), ..self }
    }

    /// Runs tasks in `world`, which answers instead of the network and Redis, or writes down what they answer.
    #[must_use]
    pub(crate) fn with_world(self, world: Arc<World>) -> Self {
        Self { loader: self.loader.with_outside(Outside::Shared(world)), ..self }
    }

    /// Checks signatures as a worker with this policy does.
    #[must_use]
    pub fn with_trust(self, policy: Policy) -> Self {
        Self { loader: self.loader.with_trust(policy), ..self }
    }

    /// Reads a component file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is too large.
    pub async fn read(&self, path: &Path) -> Result<Bytes, LoadError> {
        self.loader.read(path).await
    }

    /// Reads a component and runs its `describe`, which needs no settings and no data.
    ///
    /// # Errors
    ///
    /// When it cannot be read, does not fit the contract, or `describe` fails.
    pub async fn describe(&self, path: &Path) -> Result<(Bytes, Descriptor), LoadError> {
        let described = self.loader.describe(path).await;
        self.loader.cache_written().await;
        described
    }

    /// Inspects a file with the settings beside it and additional grants.
    ///
    /// # Errors
    ///
    /// When there is no such file, or a grant is wrong.
    pub async fn inspect(&self, path: &Path, allow: &[String]) -> Result<Inspection, String> {
        let config = self.config(path, allow)?;
        Ok(self.inspect_with(path, config).await)
    }

    /// As [`OfflineHost::inspect`], where a case replaces some of the settings.
    pub(crate) async fn inspect_for_case(
        &self,
        path: &Path,
        case: &Case,
        allow: &[String],
    ) -> Result<Inspection, String> {
        let mut config = self.config(path, allow)?;
        if let Ok(config) = &mut config {
            config.settings.extend(case.settings.clone());
        }
        Ok(self.inspect_with(path, config).await)
    }

    /// The settings beside a file, with additional grants.
    fn config(
        &self,
        path: &Path,
        allow: &[String],
    ) -> Result<Result<PluginConfig, LoadError>, String> {
        if !path.exists() {
            let path = path.display();
            return Err(format!(
                "there is no file {path}; build the plugin first (`./build` in its folder), or name another file"
            ));
        }
        let mut config = PluginConfig::for_component(path, &self.ceilings);
        if let Ok(config) = &mut config {
            for grant in allow {
                config.allow(grant)?;
            }
        }
        Ok(config)
    }

    /// Inspects a file that is to be put into `folder`: paths in the settings beside it are relative to that.
    pub async fn inspect_for(&self, path: &Path, folder: &Path) -> Inspection {
        let config = PluginConfig::for_component_in(path, folder, &self.ceilings);
        self.inspect_with(path, config).await
    }

    async fn inspect_with(
        &self,
        path: &Path,
        config: Result<PluginConfig, LoadError>,
    ) -> Inspection {
        let component = self.loader.component_info(path).await.ok();
        let started = Instant::now();
        let loaded = match config {
            Ok(config) => {
                let loaded = self.loader.load_with(path, config).await;
                loaded.and_then(|version| self.check_data_loss(&version).map(|()| version))
            }
            Err(error) => Err(error),
        };
        let load_time = started.elapsed();
        // The process may end after this call.
        self.loader.cache_written().await;
        Inspection { path: path.to_owned(), component, loaded, load_time }
    }

    /// Inspects a file with other settings than those beside it. Paths in them are relative to `folder`.
    pub(crate) async fn inspect_with_settings(
        &self,
        path: &Path,
        settings: &str,
        folder: &Path,
    ) -> Inspection {
        let config = PluginConfig::from_text(settings, folder, &self.ceilings);
        let config = config.map_err(|problem| {
            let path = path.with_extension("toml");
            LoadError::Settings { path, problem }
        });
        self.inspect_with(path, config).await
    }

    /// What a file holds.
    ///
    /// # Errors
    ///
    /// When it is not a component.
    pub(crate) async fn component(&self, path: &Path) -> Result<ComponentInfo, LoadError> {
        self.loader.component_info(path).await
    }

    /// Compares with the version that was last in force.
    fn check_data_loss(&self, version: &PluginVersion) -> Result<(), LoadError> {
        let Some(archive) = self.loader.archive() else { return Ok(()) };
        let name = version.name();
        data_loss::check(version, &archive.last_data(name), &archive.accepted_data(name))
    }

    /// Runs a task `times` times, each in a fresh instance. Only the first run writes to the log.
    ///
    /// # Errors
    ///
    /// When a profile is asked for and cannot be made.
    pub async fn run(
        &self,
        version: &Arc<PluginVersion>,
        task: &Task,
        times: usize,
    ) -> wasmtime::Result<Vec<RunReport>> {
        let engine = self.loader.engine();
        if let Some(profile) = version.env.profile() {
            profile.begin(engine, version.name(), version.component.instance_pre().component())?;
        }
        let retry = queue::config::RetryPolicy::default();
        let never = CancellationToken::new();
        let mut reports = Vec::with_capacity(times);
        for number in 0..times {
            let lease = Lease::offline(task.clone(), TIME_TO_LIVE);
            let started = Instant::now();
            let running = runner::run(engine, version, &lease, "offline", &retry, &never);
            let ran = match number {
                0 => running.await,
                _ => running.with_subscriber(NoSubscriber::new()).await,
            };
            let duration = started.elapsed();
            let Handled { result, finish, log } = ran.handled;
            reports.push(RunReport { result, log, finish, remarks: ran.remarks, duration });
        }
        Ok(reports)
    }
}
