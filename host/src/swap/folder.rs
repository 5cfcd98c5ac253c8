//! A plugin folder: loads and publishes what changes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fallback::{self, Fallback};
use super::files::{self, Fingerprint, FolderContents};
use super::outcomes::Outcomes;
use super::tracker::{Due, FileTracker, Refusal, Timing, blocking, digest_contents};
use crate::archive::{Owners, VersionArchive};
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::metrics;
use crate::plugin::load::Loader;
use crate::plugin::publish::catalog::{PluginCatalog, Published};
use crate::plugin::publish::history::History;
use crate::plugin::publish::{Publisher, ownership};
use crate::version::PluginVersion;
use crate::version::name::stem;

/// How often the folder is scanned when nothing is noticed.
pub(super) const SCAN_INTERVAL: Duration = Duration::from_secs(3);

/// Keeps a catalogue in step with a folder.
#[derive(Debug)]
pub struct PluginFolder {
    path: PathBuf,
    /// A second folder. A plugin that is in both is taken from `path`.
    second: Option<PathBuf>,
    outcomes: Outcomes,
    ceilings: Ceilings,
    loader: Arc<Loader>,
    publisher: Publisher,
    tracker: FileTracker,
    is_first_scan: bool,
    owners: Owners,
}

/// What a scan changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Plugins that were put in force.
    pub published: usize,
    /// Candidates that were refused.
    pub refused: usize,
    /// Plugins whose file is gone.
    pub removed: usize,
}

/// When and where to look next.
#[derive(Debug)]
pub(super) struct NextScan {
    /// Time to the next scan, unless a change is noticed before.
    pub(super) delay: Duration,
    /// The folders to watch.
    pub(super) folders: BTreeSet<PathBuf>,
}

impl PluginFolder {
    /// How long files that never stop changing are waited for, unless [`PluginFolder::with_max_wait`] says otherwise.
    pub const MAX_WAIT: Duration = Duration::from_secs(10);

    /// Plugins in the folder `path`, loaded by `loader` into `catalog`.
    pub fn new(
        path: PathBuf,
        ceilings: Ceilings,
        loader: Arc<Loader>,
        catalog: Arc<PluginCatalog>,
    ) -> Self {
        let archive = loader.archive().cloned();
        let publisher = Publisher { catalog, archive, accepted: loader.memory(), history: None };
        Self {
            path,
            second: None,
            outcomes: Outcomes::default(),
            ceilings,
            loader,
            publisher,
            tracker: FileTracker::new(Self::MAX_WAIT),
            is_first_scan: true,
            owners: Owners::new(),
        }
    }

    /// Adds its changes to `history`.
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.publisher.history = Some(history);
        self
    }

    /// Waits this long for files that never stop changing; then they are tried as they are.
    #[must_use]
    pub fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.tracker.set_max_wait(max_wait);
        self
    }

    /// Loads the plugins of a second folder too, except those whose name is in the first, and notes in `outcomes` what came
    /// of each file.
    #[must_use]
    pub(crate) fn with_second(mut self, folder: PathBuf, outcomes: Outcomes) -> Self {
        self.second = Some(folder);
        self.outcomes = outcomes;
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Loads new and changed plugins and removes those whose file is gone, even when files are still being written.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed. Nothing changes then.
    pub async fn scan(&mut self) -> io::Result<Changes> {
        let found = self.read().await?;
        let due = self.tracker.due(&found, Timing::Immediate).await;
        Ok(self.apply(due, &found).await)
    }

    /// As [`PluginFolder::scan`], for files that have stopped changing or were waited for long enough.
    pub(super) async fn scan_quiet(&mut self) -> io::Result<NextScan> {
        self.record_rollbacks();
        let found = self.read().await?;
        let due = self.tracker.due(&found, Timing::WhenQuiet).await;
        self.apply(due, &found).await;
        let now = Instant::now();
        let next = self.tracker.next_due(now);
        let delay = next.map_or(SCAN_INTERVAL, |at| at.saturating_duration_since(now));
        Ok(NextScan { delay: delay.min(SCAN_INTERVAL), folders: found.folders })
    }

    async fn read(&self) -> io::Result<FolderContents> {
        let path = self.path.clone();
        let second = self.second.clone();
        let ceilings = self.ceilings;
        let archive = self.publisher.archive.clone();
        let policy = self.loader.policy().clone();
        let base = self.loader.base().clone();
        let reading = move || {
            let rules = (&policy, &base);
            files::read_folders(&path, second.as_deref(), &ceilings, archive.as_ref(), rules)
        };
        blocking(reading).await?
    }

    async fn apply(&mut self, due: Due, found: &FolderContents) -> Changes {
        let mut changes = Changes::default();
        let mut gone: BTreeSet<String> = due.unload.iter().map(|path| stem(path)).collect();
        // A plugin whose file is gone from one folder and is in the other stays in force until that one is loaded.
        for (path, _) in &found.plugins {
            gone.remove(&stem(path));
        }
        if !gone.is_empty() {
            self.tracker.retry_displaced();
        }
        if std::mem::take(&mut self.is_first_scan) {
            self.load_first(due.load, &mut changes).await;
        } else {
            for (path, files) in self.in_force_first(due.load) {
                let contents = digest_contents(&files).await;
                let started = Instant::now();
                let outcome = match self.loader.load(&path).await {
                    Ok(version) => self.publish(&version, started, &mut gone, &mut changes).await,
                    Err(error) => Err(error),
                };
                self.record(path, files, contents, outcome, &mut changes);
            }
        }
        for path in &due.unload {
            if let Some(refusal) = self.tracker.forget(path) {
                metrics::plugin_refused(&stem(path), refusal.code, false);
            }
        }
        // Removed last, so that a plugin that takes over its task types leaves no moment without an owner.
        for name in gone {
            if let Some(old) = self.publisher.catalog.remove(&name) {
                changes.removed += 1;
                self.publisher.report_removed(&old);
            }
        }
        if changes.published + changes.removed > 0 {
            self.tracker.retry_displaced();
            self.store_owners().await;
        }
        changes
    }

    /// The first scan: loads all, then publishes in the order of ownership.
    async fn load_first(&mut self, load: Vec<(PathBuf, Fingerprint)>, changes: &mut Changes) {
        let archive = self.publisher.archive.as_ref();
        self.owners = archive.map(VersionArchive::owners).unwrap_or_default();
        let mut loaded = BTreeMap::new();
        let mut versions = Vec::new();
        for (path, files) in load {
            let contents = digest_contents(&files).await;
            let started = Instant::now();
            match self.loader.load(&path).await {
                Ok(version) => {
                    loaded.insert(version.name().to_owned(), (path, files, contents, started));
                    versions.push(version);
                }
                Err(error) => self.record(path, files, contents, Err(error), changes),
            }
        }
        ownership::sort_by_priority(&mut versions, &self.owners);
        let mut gone = BTreeSet::new();
        for version in versions {
            let Some((path, files, contents, started)) = loaded.remove(version.name()) else {
                continue;
            };
            let outcome = self.publish(&version, started, &mut gone, changes).await;
            self.record(path, files, contents, outcome, changes);
        }
        // Last, because plugins with a good file have priority.
        for path in self.tracker.refused() {
            if self.fall_back(&path, changes).await {
                changes.published += 1;
            }
        }
    }

    /// Puts the plugins first that are in force: they have priority over new ones.
    fn in_force_first(&self, load: Vec<(PathBuf, Fingerprint)>) -> Vec<(PathBuf, Fingerprint)> {
        let in_force = self.publisher.catalog.in_force();
        let in_force: BTreeSet<&str> = in_force.iter().map(|version| version.name()).collect();
        let (first, last): (Vec<_>, Vec<_>) =
            load.into_iter().partition(|(path, _)| in_force.contains(stem(path).as_str()));
        first.into_iter().chain(last).collect()
    }

    /// Publishes the last good version in place of a refused file.
    async fn fall_back(&mut self, path: &Path, changes: &mut Changes) -> bool {
        let fallback = fallback::publish(&self.loader, &self.publisher, path, &self.ceilings);
        let Some(Fallback { version, published, started }) = fallback.await else { return false };
        self.report_published(&version, &published, started, &mut BTreeSet::new(), changes).await;
        tracing::warn!(
            plugin = version.name(),
            plugin_version = version.descriptor.version,
            "plugin file refused; the last good version is in force"
        );
        true
    }

    async fn publish(
        &mut self,
        version: &Arc<PluginVersion>,
        started: Instant,
        gone: &mut BTreeSet<String>,
        changes: &mut Changes,
    ) -> Result<(), LoadError> {
        let published = self.publisher.publish(version, gone).await?;
        self.report_published(version, &published, started, gone, changes).await;
        Ok(())
    }

    async fn report_published(
        &mut self,
        version: &Arc<PluginVersion>,
        published: &Published,
        started: Instant,
        gone: &mut BTreeSet<String>,
        changes: &mut Changes,
    ) {
        for displaced in &published.displaced {
            if gone.remove(displaced.name()) {
                changes.removed += 1;
                self.publisher.report_removed(displaced);
            } else {
                self.record_displaced(displaced, version);
            }
        }
        self.publisher.report_published(version, published, started).await;
    }

    /// Records what came of a component's files, and reports a refusal that is new.
    fn record(
        &mut self,
        path: PathBuf,
        files: Fingerprint,
        contents: Option<[u8; 32]>,
        outcome: Result<(), LoadError>,
        changes: &mut Changes,
    ) {
        let name = stem(&path);
        let mut retry = false;
        let mut refusal = None;
        self.outcomes.note(&path, &files, outcome.as_ref().err());
        match outcome {
            Ok(()) => changes.published += 1,
            Err(error) => {
                changes.refused += 1;
                metrics::plugin_looked_at(error.code());
                let new = refusal_of(&error);
                if !self.tracker.is_known(&path, &files, new) {
                    self.publisher.report_refused(&name, &error);
                }
                retry = error.may_pass();
                refusal = Some(new);
            }
        }
        if let Some(earlier) = self.tracker.refusal(&path) {
            metrics::plugin_refused(&name, earlier.code, false);
        }
        if let Some(refusal) = refusal {
            metrics::plugin_refused(&name, refusal.code, true);
        }
        self.tracker.record(path, files, contents, refusal, retry);
    }

    /// Records that another plugin has replaced this one.
    fn record_displaced(&mut self, old: &PluginVersion, by: &PluginVersion) {
        metrics::plugin_in_force(old.name(), &old.descriptor.version, false);
        let Some(error) = ownership::conflict(old, by) else { return };
        metrics::plugin_looked_at(error.code());
        self.publisher.report_refused(old.name(), &error);
        let path = self.component(old.name());
        let refusal = Refusal { code: error.code(), by_other_plugin: true };
        if self.tracker.refuse(&path, refusal) {
            metrics::plugin_refused(old.name(), error.code(), true);
        }
    }

    /// Records rollbacks since the last scan as refusals. They are tried again later: an operator may accept them.
    fn record_rollbacks(&mut self) {
        for name in self.publisher.catalog.take_rolled_back() {
            let path = self.component(&name);
            let refusal = Refusal { code: LoadError::ROLLED_BACK, by_other_plugin: false };
            self.outcomes.note_rolled_back(&path);
            if self.tracker.refuse(&path, refusal) {
                metrics::plugin_refused(&name, LoadError::ROLLED_BACK, true);
            }
        }
    }

    /// Stores the owners for the next start, when they have changed.
    async fn store_owners(&mut self) {
        let owners = self.publisher.owners();
        if owners != self.owners {
            self.owners.clone_from(&owners);
            self.publisher.store_owners(owners).await;
        }
    }

    /// The file of a plugin, in the folder that it was loaded from.
    fn component(&self, plugin: &str) -> PathBuf {
        let in_folder = |folder: &Path| folder.join(plugin).with_extension("wasm");
        let second = self.second.as_deref().map(in_folder);
        let own = in_folder(&self.path);
        second.filter(|path| self.tracker.knows(path) && !self.tracker.knows(&own)).unwrap_or(own)
    }
}

fn refusal_of(error: &LoadError) -> Refusal {
    Refusal { code: error.code(), by_other_plugin: error.waits_for_another() }
}
