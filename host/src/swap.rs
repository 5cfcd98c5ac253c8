//! Replaces a running plugin without losing a task.
//!
//! A candidate passes every check first and is then published with one pointer store. A task holds an `Arc` to the
//! version it started with, so the old code is freed when its last task ends. A candidate that fails is named in the
//! log, and the running version goes on.
//!
//! Not here: what makes a candidate acceptable ([`crate::plugin::load`]) and how a changed file is noticed
//! ([`watch`]).

pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use ops::chain::chain;

use crate::catalog::PluginCatalog;
use crate::config::Ceilings;
use crate::metrics;
use crate::plugin::load::Loader;
use crate::plugin_config::PluginConfig;

/// Size and time of every file that makes a plugin: the component, its settings, its data.
type Fingerprint = Vec<(PathBuf, Option<(u64, SystemTime)>)>;

/// Keeps the catalogue in step with a folder.
#[derive(Debug)]
pub struct PluginFolder {
    folder: PathBuf,
    ceilings: Ceilings,
    loader: Arc<Loader>,
    catalog: Arc<PluginCatalog>,
    /// What was tried last for each plugin, whether it was accepted or not.
    tried: BTreeMap<String, Fingerprint>,
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
        Self { folder, ceilings, loader, catalog, tried: BTreeMap::new() }
    }

    /// Loads what is new or changed and removes what is gone.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed; nothing changes then.
    pub async fn scan(&mut self) -> std::io::Result<Changes> {
        let mut changes = Changes::default();
        let mut present = BTreeSet::new();
        for path in components(&self.folder)? {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned)
            else {
                continue;
            };
            let fingerprint = self.fingerprint(&path);
            present.insert(name.clone());
            if self.tried.get(&name) == Some(&fingerprint) {
                continue;
            }
            match self.load(&path).await {
                true => changes.published += 1,
                false => changes.refused += 1,
            }
            self.tried.insert(name, fingerprint);
        }
        let gone: Vec<String> =
            self.tried.keys().filter(|name| !present.contains(*name)).cloned().collect();
        for name in gone {
            self.tried.remove(&name);
            if let Some(old) = self.catalog.remove(&name) {
                metrics::plugin_in_force(&name, &old.descriptor.version, false);
                changes.removed += 1;
                tracing::info!(plugin = name, "plugin removed: its file is gone");
            }
        }
        Ok(changes)
    }

    /// Whether the folder looks as it did at the last scan.
    pub(crate) fn unchanged(&self) -> bool {
        let Ok(paths) = components(&self.folder) else { return true };
        paths.len() == self.tried.len()
            && paths.iter().all(|path| {
                let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                self.tried.get(name) == Some(&self.fingerprint(path))
            })
    }

    async fn load(&self, path: &Path) -> bool {
        let started = std::time::Instant::now();
        let published = match self.loader.load(path).await {
            Ok(version) => {
                let (offered, declared) = (version.offered(), version.descriptor.name.clone());
                self.catalog.publish(version).map(|old| (offered, declared, old))
            }
            Err(error) => Err(error),
        };
        match published {
            Ok((offered, declared, old)) => {
                if declared != offered.name {
                    tracing::warn!(
                        plugin = offered.name,
                        declared,
                        "the plugin calls itself otherwise; its file name counts"
                    );
                }
                metrics::plugin_looked_at("published");
                if let Some(old) = &old {
                    metrics::plugin_in_force(&offered.name, &old.descriptor.version, false);
                }
                metrics::plugin_in_force(&offered.name, &offered.version, true);
                tracing::info!(
                    plugin = offered.name,
                    plugin_version = offered.version,
                    digest = offered.digest.get(..12).unwrap_or_default(),
                    replaces = old.as_ref().map(|old| old.descriptor.version.as_str()),
                    load_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "plugin published"
                );
                true
            }
            Err(error) => {
                metrics::plugin_looked_at(error.code());
                tracing::warn!(
                    code = error.code(),
                    error = %chain(&error),
                    "plugin refused; what ran before goes on"
                );
                false
            }
        }
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
