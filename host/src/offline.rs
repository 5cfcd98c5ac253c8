//! Plugins without a queue: looked at, checked and run by the very code that a worker uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use queue::{Lease, Task, TaskResult};
use tokio_util::sync::CancellationToken;

use crate::archive::KeptVersions;
use crate::config::Ceilings;
use crate::engine;
use crate::error::LoadError;
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::load::{Anatomy, Loader};
use crate::plugin::publish::data_guard;
use crate::plugin_config::PluginConfig;
use crate::runner;
use crate::version::PluginVersion;

/// One task may take as long as it may from a chat.
const TIME_TO_LIVE: Duration = Duration::from_secs(120);

/// A host with one instance at a time and no Redis.
#[derive(Debug)]
pub struct Bench {
    loader: Loader,
    ceilings: Ceilings,
}

/// What came of looking at one file.
#[derive(Debug)]
pub struct Examined {
    /// Where it is.
    pub path: PathBuf,
    /// What it is made of; none when it is no component.
    pub anatomy: Option<Anatomy>,
    /// What a worker would make of it.
    pub loaded: Result<Arc<PluginVersion>, LoadError>,
    /// How long loading took, `init` and compiling included.
    pub load_time: Duration,
}

impl Examined {
    /// Why a worker would refuse it, cause by cause; nothing when it would not.
    pub fn refusal(&self) -> Vec<String> {
        let first = self.loaded.as_ref().err().map(|error| error as &dyn std::error::Error);
        std::iter::successors(first, |error| error.source())
            // One line each: a parser may draw a picture, and a guest write what looks like ours.
            .map(|cause| cause.to_string().replace(char::is_control, " "))
            .map(|cause| cause.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }
}

/// One task that was run.
#[derive(Debug)]
pub struct Ran {
    /// What came of it.
    pub result: TaskResult,
    /// From the task to its result, instance included.
    pub took: Duration,
}

impl Bench {
    /// A host on this machine.
    ///
    /// # Errors
    ///
    /// When there is no engine.
    pub fn new() -> wasmtime::Result<Self> {
        let ceilings = Ceilings::default();
        let engine = engine::build(1, &ceilings)?;
        Ok(Self { loader: Loader::new(engine, ceilings, None)?, ceilings })
    }

    /// Uses what a worker has prepared, and keeps what it prepares.
    #[must_use]
    pub fn with_prepared(self, prepared: Option<PreparedCache>) -> Self {
        Self { loader: self.loader.with_cache(prepared), ..self }
    }

    /// Refuses what was rolled back, as a worker does.
    #[must_use]
    pub fn with_versions(self, versions: Option<KeptVersions>) -> Self {
        Self { loader: self.loader.with_versions(versions), ..self }
    }

    /// Looks at a file with the settings beside it and some more grants.
    ///
    /// # Errors
    ///
    /// When a grant is wrong.
    pub async fn examine(&self, path: &Path, allow: &[String]) -> Result<Examined, String> {
        let anatomy = self.loader.dissect(path).await.ok();
        let began = Instant::now();
        let loaded = match PluginConfig::for_component(path, &self.ceilings) {
            Ok(mut config) => {
                for grant in allow {
                    config.allow(grant)?;
                }
                let loaded = self.loader.load_with(path, config).await;
                loaded.and_then(|version| self.kept_enough(&version).map(|()| version))
            }
            Err(error) => Err(error),
        };
        let load_time = began.elapsed();
        // Whoever asked may end the process next.
        self.loader.all_kept().await;
        Ok(Examined { path: path.to_owned(), anatomy, loaded, load_time })
    }

    /// Compares with what was last in force, where that is known.
    fn kept_enough(&self, version: &PluginVersion) -> Result<(), LoadError> {
        let Some(versions) = self.loader.versions() else { return Ok(()) };
        let name = version.name();
        data_guard::check(version, &versions.former_data(name), &versions.accepted(name))
    }

    /// Runs a task `times` times, each in a fresh instance.
    pub async fn run(&self, version: &Arc<PluginVersion>, task: &Task, times: usize) -> Vec<Ran> {
        let retry = queue::config::RetryPolicy::default();
        let mut ran = Vec::with_capacity(times);
        for _ in 0..times {
            let lease = Lease::offline(task.clone(), TIME_TO_LIVE);
            let began = Instant::now();
            let never = CancellationToken::new();
            let handled =
                runner::run(&self.loader, version, &lease, "offline", &retry, &never).await;
            ran.push(Ran { result: handled.result, took: began.elapsed() });
        }
        ran
    }
}
