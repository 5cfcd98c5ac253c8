//! Replaces a running plugin without losing a task.
//!
//! A candidate passes every check first and is then published with one pointer store. A task holds an `Arc` to the
//! version it started with, so the old code is freed when its last task ends. A candidate that fails is named in the
//! log, and the running version goes on.
//!
//! Not here: what makes a candidate acceptable ([`crate::plugin::load`]) and how a changed file is noticed
//! ([`watch`]).

pub mod history;
pub mod rollback;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ops::chain::chain;

use crate::catalog::{PluginCatalog, Published};
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::metrics;
use crate::plugin::PluginVersion;
use crate::plugin::load::Loader;
use crate::plugin_config::PluginConfig;
use crate::swap::history::History;

/// How soon files that were refused for something outside them are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Size and time of every file that makes a plugin: the component, its settings, its data.
type Fingerprint = Vec<(PathBuf, Option<(u64, SystemTime)>)>;

/// What was made of a plugin's files.
#[derive(Debug)]
struct Tried {
    fingerprint: Fingerprint,
    /// When they are looked at again though they are the same, because what stood in the way lay outside them.
    again_at: Option<Instant>,
    /// Why they were refused, so that the same is told once.
    refused: Option<&'static str>,
}

impl Tried {
    fn settled(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint && self.again_at.is_none_or(|at| Instant::now() < at)
    }
}

/// Keeps the catalogue in step with a folder.
#[derive(Debug)]
pub struct PluginFolder {
    folder: PathBuf,
    ceilings: Ceilings,
    loader: Arc<Loader>,
    catalog: Arc<PluginCatalog>,
    history: Option<History>,
    /// Until the first look at the folder is over.
    starting: bool,
    /// The files of each plugin as they were when it was accepted, or refused for what they are.
    tried: BTreeMap<String, Tried>,
}

/// What one look at the folder did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Plugins that were put in force.
    pub published: usize,
    /// Candidates that were refused.
    pub refused: usize,
    /// Plugins whose file is gone.
    pub removed: usize,
}

impl PluginFolder {
    /// Plugins in `folder`, loaded by `loader` into `catalog`.
    pub fn new(
        folder: PathBuf,
        ceilings: Ceilings,
        loader: Arc<Loader>,
        catalog: Arc<PluginCatalog>,
    ) -> Self {
        let tried = BTreeMap::new();
        Self { folder, ceilings, loader, catalog, history: None, starting: true, tried }
    }

    /// Tells `history` what it does.
    #[must_use]
    pub fn with_history(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// Loads what is new or changed and removes what is gone.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed; nothing changes then.
    pub async fn scan(&mut self) -> std::io::Result<Changes> {
        let mut changes = Changes::default();
        let paths = components(&self.folder)?;
        // First what is gone: its task types are free for a file that was renamed.
        self.remove_missing(&paths, &mut changes);
        for path in paths {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned)
            else {
                continue;
            };
            let fingerprint = self.fingerprint(&path);
            if self.tried.get(&name).is_some_and(|tried| tried.settled(&fingerprint)) {
                continue;
            }
            let (again_at, refused) = match self.load(&path).await {
                Ok(()) => {
                    changes.published += 1;
                    (None, None)
                }
                Err(error) => {
                    changes.refused += 1;
                    let told = self.tried.get(&name).is_some_and(|tried| {
                        tried.fingerprint == fingerprint && tried.refused == Some(error.code())
                    });
                    if let Some(history) = self.history.as_ref().filter(|_| !told) {
                        history.refused(&name, &error);
                    }
                    if self.starting && self.go_back(&path).await {
                        changes.published += 1;
                    }
                    (error.may_pass().then(|| Instant::now() + LOOK_AGAIN), Some(error.code()))
                }
            };
            self.tried.insert(name, Tried { fingerprint, again_at, refused });
        }
        self.starting = false;
        if 0 < changes.published + changes.removed {
            // What a task type was taken by may be gone now.
            for tried in self.tried.values_mut() {
                tried.again_at = tried.again_at.map(|_| Instant::now());
            }
        }
        Ok(changes)
    }

    /// What was rolled back is looked at again in a while, as what was refused: somebody may have accepted it since.
    pub(crate) fn note_rollbacks(&mut self) {
        for name in self.catalog.take_rolled_back() {
            if let Some(tried) = self.tried.get_mut(&name) {
                tried.again_at = Some(Instant::now() + LOOK_AGAIN);
                tried.refused = Some(LoadError::ROLLED_BACK);
            }
        }
    }

    fn remove_missing(&mut self, paths: &[PathBuf], changes: &mut Changes) {
        let present: BTreeSet<&str> =
            paths.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
        let offered: Vec<String> =
            self.catalog.offered().borrow().iter().map(|plugin| plugin.name.clone()).collect();
        self.tried.retain(|name, _| present.contains(name.as_str()));
        for name in offered.into_iter().filter(|name| !present.contains(name.as_str())) {
            if let Some(old) = self.catalog.remove(&name) {
                metrics::plugin_in_force(&name, &old.descriptor.version, false);
                changes.removed += 1;
                if let Some(history) = &self.history {
                    history.removed(&old);
                }
                tracing::info!(plugin = name, "plugin removed: its file is gone");
            }
        }
    }

    /// Whether the folder looks as it did at the last scan.
    pub(crate) fn unchanged(&self) -> bool {
        let Ok(paths) = components(&self.folder) else { return true };
        paths.len() == self.tried.len()
            && paths.iter().all(|path| {
                let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let fingerprint = self.fingerprint(path);
                self.tried.get(name).is_some_and(|tried| tried.settled(&fingerprint))
            })
    }

    async fn load(&self, path: &Path) -> Result<(), LoadError> {
        let started = Instant::now();
        let loaded = match self.loader.load(path).await {
            Ok(version) => self.publish(&version, started).await,
            Err(error) => Err(error),
        };
        loaded.inspect_err(|error| {
            metrics::plugin_looked_at(error.code());
            tracing::warn!(
                code = error.code(),
                error = %chain(error),
                "plugin refused; what ran before goes on"
            );
        })
    }

    async fn publish(
        &self,
        version: &Arc<PluginVersion>,
        started: Instant,
    ) -> Result<(), LoadError> {
        let Published { old, watched } = self.catalog.publish(Arc::clone(version))?;
        if version.descriptor.name != version.name() {
            tracing::warn!(
                plugin = version.name(),
                declared = version.descriptor.name,
                "the plugin calls itself otherwise; its file name counts"
            );
        }
        metrics::plugin_looked_at("published");
        if let Some(old) = &old {
            metrics::plugin_in_force(version.name(), &old.descriptor.version, false);
        }
        metrics::plugin_in_force(version.name(), &version.descriptor.version, true);
        if let Some(history) = &self.history {
            history.published(version, old.as_deref());
        }
        tracing::info!(
            plugin = version.name(),
            plugin_version = version.descriptor.version,
            digest = version.digest.get(..12).unwrap_or_default(),
            replaces = old.as_ref().map(|old| old.descriptor.version.as_str()),
            watched,
            canary_percent = version.swap.canary_percent.filter(|_| watched),
            load_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "plugin published"
        );
        self.keep(version).await;
        Ok(())
    }

    /// Keeps a version for a rollback; without it only that is lost.
    async fn keep(&self, version: &Arc<PluginVersion>) {
        let Some(versions) = self.loader.versions().cloned() else { return };
        let kept = Arc::clone(version);
        let keeping = tokio::task::spawn_blocking(move || versions.keep(&kept));
        if let Ok(Err(error)) = keeping.await {
            let plugin = version.name();
            tracing::warn!(plugin, error = %error, "this version is not kept for a rollback");
        }
    }

    /// At the start, when the file in place is refused: puts the last good version in force that had no more grants
    /// than the settings in place give.
    async fn go_back(&self, path: &Path) -> bool {
        let Some(versions) = self.loader.versions() else { return false };
        let Ok(config) = PluginConfig::for_component(path, &self.ceilings) else { return false };
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let granted = config.granted();
        for kept in versions.of(name).into_iter().filter(|kept| kept.rejected.is_none()) {
            let passed_over = |reason: &str| {
                let (plugin, version) = (name, kept.version.as_str());
                tracing::warn!(plugin, version, reason, "a kept version is not taken instead");
            };
            if !config.swap.takes(&kept.digest) {
                passed_over("the settings in place pin another component");
                continue;
            }
            let component = versions.component(name, &kept.id);
            let as_it_was =
                PluginConfig::for_component_in(&component, &self.folder, &self.ceilings);
            let as_it_was = match as_it_was {
                Ok(as_it_was) => as_it_was,
                Err(error) => {
                    passed_over(&chain(&error).to_string());
                    continue;
                }
            };
            if !as_it_was.granted().is_subset(&granted) || !as_it_was.limits.within(&config.limits)
            {
                passed_over("the settings in place grant less than it had");
                continue;
            }
            let started = Instant::now();
            let loaded = match versions.read(name, &kept) {
                Err(source) => Err(LoadError::Read { path: component, source }),
                Ok(_) => self.loader.load_with(&component, as_it_was).await,
            };
            let published = match loaded {
                Ok(version) => self.publish(&version, started).await,
                Err(error) => Err(error),
            };
            match published {
                Err(error) => passed_over(&chain(&error).to_string()),
                Ok(()) => {
                    tracing::warn!(
                        plugin = name,
                        plugin_version = kept.version,
                        "the last good version is in force, because the file in place is refused"
                    );
                    return true;
                }
            }
        }
        false
    }

    fn fingerprint(&self, path: &Path) -> Fingerprint {
        let mut files = vec![path.to_owned(), path.with_extension("toml")];
        if let Ok(config) = PluginConfig::for_component(path, &self.ceilings) {
            files.extend(config.data.into_values());
        }
        files
            .into_iter()
            .map(|file| {
                let state = std::fs::metadata(&file)
                    .ok()
                    .and_then(|found| Some((found.len(), found.modified().ok()?)));
                (file, state)
            })
            .collect()
    }
}

fn components(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
