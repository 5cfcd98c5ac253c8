//! Keeps the catalogue in step with a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ops::chain::chain;

use crate::archive::KeptVersions;
use crate::config::Ceilings;
use crate::error::LoadError;
use crate::metrics;
use crate::plugin::load::{Loader, stem};
use crate::plugin::publish::catalog::{PluginCatalog, Published};
use crate::plugin::publish::data_guard;
use crate::plugin::publish::history::History;
use crate::plugin::publish::ownership::{self, Owners};
use crate::swap::files::{self, Fingerprint, Found, Place};
use crate::version::PluginVersion;

/// How soon files that were refused for something outside them are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a plugin's files must be as they are before they are read: whoever writes one may not be done.
const STILL_FOR: Duration = Duration::from_millis(150);
/// How often contents are compared, for what changes without a new size, time or file: some network file systems, and
/// two writes within one tick of a file system's clock. The first time is soon after the files were read.
const COMPARE_EVERY: Duration = Duration::from_secs(60);
const COMPARE_FIRST: Duration = Duration::from_secs(3);
/// How often the folder is looked at when nothing is noticed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What was made of a plugin's files.
#[derive(Debug)]
struct Tried {
    fingerprint: Fingerprint,
    /// What stood in them.
    contents: [u8; 32],
    compare_at: Instant,
    /// When they are looked at again though they are the same, because what stood in the way lay outside them.
    again_at: Option<Instant>,
    /// Why they were refused, so that the same is told once.
    refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    code: &'static str,
    /// Another plugin has what it claims.
    by_another: bool,
}

/// A plugin's files that are not as they were when they were tried.
#[derive(Debug)]
struct Changing {
    /// As they are; none when the component is gone.
    files: Option<Fingerprint>,
    /// When that began.
    since: Instant,
    /// When they were last seen to change.
    changed: Instant,
}

/// Keeps the catalogue in step with a folder.
#[derive(Debug)]
pub struct PluginFolder {
    pub(super) folder: PathBuf,
    pub(super) ceilings: Ceilings,
    pub(super) loader: Arc<Loader>,
    catalog: Arc<PluginCatalog>,
    history: Option<History>,
    patience: Duration,
    /// Until the first look at the folder is over.
    starting: bool,
    /// The files of each component as they were when it was accepted, or refused for what they are.
    tried: BTreeMap<PathBuf, Tried>,
    changing: BTreeMap<PathBuf, Changing>,
    /// Which folder it was that the plugins in force came from.
    place: Option<Place>,
    owners: Owners,
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

/// What is to be done now.
#[derive(Debug, Default)]
struct Due {
    /// Components to load.
    load: Vec<(PathBuf, Fingerprint)>,
    /// Components that are no more.
    gone: Vec<PathBuf>,
}

/// What comes after a look.
#[derive(Debug)]
pub(crate) struct Next {
    /// How long nothing needs a look unless something is noticed.
    pub(crate) look_in: Duration,
    /// The folders in which a change matters.
    pub(crate) folders: BTreeSet<PathBuf>,
}

impl PluginFolder {
    /// How long files that never are still are waited for, unless [`PluginFolder::with_patience`] says otherwise.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Plugins in `folder`, loaded by `loader` into `catalog`.
    pub fn new(
        folder: PathBuf,
        ceilings: Ceilings,
        loader: Arc<Loader>,
        catalog: Arc<PluginCatalog>,
    ) -> Self {
        Self {
            folder,
            ceilings,
            loader,
            catalog,
            history: None,
            patience: Self::PATIENCE,
            starting: true,
            tried: BTreeMap::new(),
            changing: BTreeMap::new(),
            place: None,
            owners: Owners::new(),
        }
    }

    /// Tells `history` what it does.
    #[must_use]
    pub fn with_history(self, history: History) -> Self {
        Self { history: Some(history), ..self }
    }

    /// Waits so long for files that never are still before they are tried as they are.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Loads what is new or changed and removes what is gone, whether it is still being written or not.
    ///
    /// # Errors
    ///
    /// When the folder cannot be listed; nothing changes then.
    pub async fn scan(&mut self) -> io::Result<Changes> {
        let found = self.find().await?;
        let due = self.due(&found, false).await;
        Ok(self.take(due).await)
    }

    /// As [`PluginFolder::scan`], for files that are still, or were waited for long enough.
    pub(crate) async fn step(&mut self) -> io::Result<Next> {
        self.note_rollbacks();
        let found = self.find().await?;
        let due = self.due(&found, true).await;
        self.take(due).await;
        let now = Instant::now();
        let again = self.tried.values().filter_map(|tried| tried.again_at);
        let soonest = again.chain(self.changing.values().map(|_| now + STILL_FOR)).min();
        let look_in = soonest.map_or(LOOK_EVERY, |at| at.saturating_duration_since(now));
        Ok(Next { look_in: look_in.min(LOOK_EVERY), folders: found.folders })
    }

    async fn find(&self) -> io::Result<Found> {
        let (folder, ceilings) = (self.folder.clone(), self.ceilings);
        let versions = self.loader.versions().cloned();
        // A network file system may take its time.
        aside(move || files::find(&folder, &ceilings, versions.as_ref())).await?
    }

    /// What of `found` is another than what was tried. With patience only what has been so for a while.
    async fn due(&mut self, found: &Found, patient: bool) -> Due {
        let mut due = Due::default();
        for (path, files) in &found.plugins {
            if self.settled(path, files).await {
                self.changing.remove(path);
            } else if self.ripe(path, Some(files), STILL_FOR) || !patient {
                self.changing.remove(path);
                due.load.push((path.clone(), files.clone()));
            }
        }
        let there: BTreeSet<&PathBuf> = found.plugins.iter().map(|(path, _)| path).collect();
        self.changing.retain(|path, _| there.contains(path) || self.tried.contains_key(path));
        let missing: Vec<PathBuf> =
            self.tried.keys().filter(|path| !there.contains(path)).cloned().collect();
        // Another folder under the same name may be about to be filled, or to be mounted.
        let moved = self.place != found.place;
        let absent_for = if moved { self.patience } else { STILL_FOR };
        for path in missing {
            if self.ripe(&path, None, absent_for) || !patient {
                self.changing.remove(&path);
                due.gone.push(path);
            }
        }
        if self.changing.values().all(|changing| changing.files.is_some()) {
            self.place = found.place;
        }
        due
    }

    /// Whether what lies at `path` is what was tried.
    async fn settled(&mut self, path: &Path, files: &Fingerprint) -> bool {
        let now = Instant::now();
        let Some(tried) = self.tried.get_mut(path) else { return false };
        if tried.again_at.is_some_and(|at| at <= now) {
            return false;
        }
        let same = tried.fingerprint == *files;
        if same && now < tried.compare_at {
            return true;
        }
        // Files that were refused are tried again when they were touched.
        if !same && tried.refused.is_some() {
            return false;
        }
        let still_written =
            self.changing.get(path).is_none_or(|changing| changing.files.as_ref() != Some(files));
        if !same && still_written {
            return false;
        }
        let contents = contents_of(files).await;
        tried.compare_at = now + COMPARE_EVERY;
        if contents != Some(tried.contents) {
            return false;
        }
        tried.fingerprint.clone_from(files);
        true
    }

    /// Whether files have been as they are for `still_for`, or were waited for long enough.
    fn ripe(&mut self, path: &Path, files: Option<&Fingerprint>, still_for: Duration) -> bool {
        let now = Instant::now();
        if let Some(tried) = self.tried.get(path)
            && Some(&tried.fingerprint) == files
        {
            return true; // Nothing is being written.
        }
        let begun = || Changing { files: files.cloned(), since: now, changed: now };
        let changing = self.changing.entry(path.to_owned()).or_insert_with(begun);
        if changing.files.is_some() != files.is_some() {
            *changing = begun();
        }
        if changing.files.as_ref() != files {
            changing.files = files.cloned();
            changing.changed = now;
        }
        let waited = now.duration_since(changing.since);
        still_for <= now.duration_since(changing.changed) || self.patience <= waited
    }

    /// Loads and removes what is due.
    async fn take(&mut self, due: Due) -> Changes {
        let mut changes = Changes::default();
        let mut gone: BTreeSet<String> = due.gone.iter().map(|path| stem(path)).collect();
        if !gone.is_empty() {
            self.look_at_the_others();
        }
        match std::mem::take(&mut self.starting) {
            true => self.start(due.load, &mut changes).await,
            false => {
                for (path, files) in self.in_order(due.load) {
                    let contents = contents_of(&files).await;
                    let started = Instant::now();
                    let loaded = self.loader.load(&path).await;
                    let published = match loaded {
                        Ok(version) => {
                            self.publish(&version, started, &mut gone, &mut changes).await
                        }
                        Err(error) => Err(error),
                    };
                    self.note(path, files, contents, published, &mut changes);
                }
            }
        }
        for path in &due.gone {
            self.forget(path);
        }
        // Not before: what has their task types now took them over without a moment in which nobody had them.
        for name in gone {
            if let Some(old) = self.catalog.remove(&name) {
                self.removed(&old, &mut changes);
            }
        }
        if 0 < changes.published + changes.removed {
            self.look_at_the_others();
            self.note_owners().await;
        }
        changes
    }

    /// The first look: all is loaded, and then put in force in the order of who owns what.
    async fn start(&mut self, load: Vec<(PathBuf, Fingerprint)>, changes: &mut Changes) {
        self.owners = self.loader.versions().map(KeptVersions::owners).unwrap_or_default();
        let mut loaded = BTreeMap::new();
        let mut versions = Vec::new();
        for (path, files) in load {
            let contents = contents_of(&files).await;
            let started = Instant::now();
            match self.loader.load(&path).await {
                Ok(version) => {
                    loaded.insert(version.name().to_owned(), (path, files, contents, started));
                    versions.push(version);
                }
                Err(error) => {
                    self.note(path.clone(), files, contents, Err(error), changes);
                }
            }
        }
        ownership::order(&mut versions, &self.owners);
        let mut gone = BTreeSet::new();
        for version in versions {
            let Some((path, files, contents, started)) = loaded.remove(version.name()) else {
                continue;
            };
            let published = self.publish(&version, started, &mut gone, changes).await;
            self.note(path, files, contents, published, changes);
        }
        // Last, for whoever may be in force by its own file goes first.
        let refused: Vec<PathBuf> = self
            .tried
            .iter()
            .filter(|(_, tried)| tried.refused.is_some())
            .map(|(path, _)| path.clone())
            .collect();
        for path in refused {
            if self.go_back(&path, changes).await {
                changes.published += 1;
            }
        }
    }

    /// Plugins that are in force before others: what they claim is theirs.
    fn in_order(&self, load: Vec<(PathBuf, Fingerprint)>) -> Vec<(PathBuf, Fingerprint)> {
        let in_force: BTreeSet<String> =
            self.catalog.in_force().iter().map(|version| version.name().to_owned()).collect();
        let (first, then): (Vec<_>, Vec<_>) =
            load.into_iter().partition(|(path, _)| in_force.contains(&stem(path)));
        first.into_iter().chain(then).collect()
    }

    /// Remembers what came of a component's files, and tells it when it was not told yet.
    fn note(
        &mut self,
        path: PathBuf,
        fingerprint: Fingerprint,
        contents: Option<[u8; 32]>,
        outcome: Result<(), LoadError>,
        changes: &mut Changes,
    ) {
        let name = stem(&path);
        let before = self.tried.get(&path);
        let (again_at, refused) = match outcome {
            Ok(()) => {
                changes.published += 1;
                (None, None)
            }
            Err(error) => {
                changes.refused += 1;
                metrics::plugin_looked_at(error.code());
                let refused = Refused { code: error.code(), by_another: error.waits_for_another() };
                let told = before.is_some_and(|tried| {
                    tried.fingerprint == fingerprint && tried.refused == Some(refused)
                });
                if !told {
                    self.tell_refusal(&name, &error);
                }
                (error.may_pass().then(|| Instant::now() + LOOK_AGAIN), Some(refused))
            }
        };
        if let Some(earlier) = before.and_then(|tried| tried.refused) {
            metrics::plugin_refused(&name, earlier.code, false);
        }
        if let Some(refused) = refused {
            metrics::plugin_refused(&name, refused.code, true);
        }
        let compare_at = Instant::now() + COMPARE_FIRST;
        let contents = contents.unwrap_or_default();
        self.tried.insert(path, Tried { fingerprint, contents, compare_at, again_at, refused });
    }

    fn tell_refusal(&self, name: &str, error: &LoadError) {
        if let Some(history) = &self.history {
            history.refused(name, error);
        }
        tracing::warn!(
            code = error.code(),
            error = %chain(error),
            "plugin refused; what ran before goes on"
        );
    }

    fn forget(&mut self, path: &Path) {
        if let Some(refused) = self.tried.remove(path).and_then(|tried| tried.refused) {
            metrics::plugin_refused(&stem(path), refused.code, false);
        }
    }

    fn removed(&self, old: &PluginVersion, changes: &mut Changes) {
        metrics::plugin_in_force(old.name(), &old.descriptor.version, false);
        changes.removed += 1;
        if let Some(history) = &self.history {
            history.removed(old);
        }
        tracing::info!(plugin = old.name(), "plugin removed: its file is gone");
    }

    /// What was rolled back is looked at again in a while, as what was refused: somebody may have accepted it since.
    fn note_rollbacks(&mut self) {
        for name in self.catalog.take_rolled_back() {
            let path = self.folder.join(&name).with_extension("wasm");
            if let Some(tried) = self.tried.get_mut(&path) {
                tried.again_at = Some(Instant::now() + LOOK_AGAIN);
                tried.refused = Some(Refused { code: LoadError::ROLLED_BACK, by_another: false });
                metrics::plugin_refused(&name, LoadError::ROLLED_BACK, true);
            }
        }
    }

    /// What their names or task types were taken by may be gone now.
    fn look_at_the_others(&mut self) {
        for tried in self.tried.values_mut() {
            if tried.refused.is_some_and(|refused| refused.by_another) {
                tried.again_at = Some(Instant::now());
            }
        }
    }

    pub(super) async fn publish(
        &mut self,
        version: &Arc<PluginVersion>,
        started: Instant,
        gone: &mut BTreeSet<String>,
        changes: &mut Changes,
    ) -> Result<(), LoadError> {
        self.kept_enough(version).await?;
        let Published { old, watched, displaced } =
            self.catalog.publish_over(Arc::clone(version), gone)?;
        for displaced in displaced {
            match gone.remove(displaced.name()) {
                true => self.removed(&displaced, changes),
                false => self.displaced(&displaced, version),
            }
        }
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
        for (data, fact) in &version.data {
            for (unit, amount) in [("rows", fact.rows), ("bytes", Some(fact.bytes))] {
                let Some(amount) = amount else { continue };
                metrics::plugin_data(version.name(), data, unit, "in_force", amount);
                metrics::plugin_data(version.name(), data, unit, "refused", 0);
            }
        }
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

    /// Compares a version's data with what is in force, or was when the worker last ran.
    async fn kept_enough(&self, version: &Arc<PluginVersion>) -> Result<(), LoadError> {
        let in_force = self.catalog.named(version.name()).map(|old| old.data.clone());
        let (name, versions) = (version.name().to_owned(), self.loader.versions().cloned());
        let known = aside(move || {
            let former = versions.as_ref().map(|versions| versions.former_data(&name));
            let accepted = versions.as_ref().map(|versions| versions.accepted(&name));
            (in_force.or(former).unwrap_or_default(), accepted.unwrap_or_default())
        });
        let (former, accepted) = known.await.unwrap_or_default();
        data_guard::check(version, &former, &accepted).inspect_err(|error| {
            if let LoadError::DataShrank { plugin, data, unit, now, .. } = error {
                metrics::plugin_data(plugin, data, unit, "refused", *now);
            }
        })
    }

    /// Another plugin that bears the name has taken over from this one.
    fn displaced(&mut self, old: &PluginVersion, by: &PluginVersion) {
        metrics::plugin_in_force(old.name(), &old.descriptor.version, false);
        let Some(error) = ownership::contested(old, by) else { return };
        metrics::plugin_looked_at(error.code());
        self.tell_refusal(old.name(), &error);
        let path = self.folder.join(old.name()).with_extension("wasm");
        if let Some(tried) = self.tried.get_mut(&path) {
            metrics::plugin_refused(old.name(), error.code(), true);
            tried.refused = Some(Refused { code: error.code(), by_another: true });
            tried.again_at = Some(Instant::now() + LOOK_AGAIN);
        }
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

    /// Remembers for the next start whose is what.
    async fn note_owners(&mut self) {
        let in_force = self.catalog.in_force();
        let owners: Owners = in_force
            .iter()
            .flat_map(|version| {
                ownership::claims(version).map(|claim| (claim, version.name().to_owned()))
            })
            .collect();
        let Some(versions) = self.loader.versions().cloned().filter(|_| owners != self.owners)
        else {
            return;
        };
        self.owners.clone_from(&owners);
        if let Ok(Err(error)) = aside(move || versions.note_owners(&owners)).await {
            tracing::warn!(error = %error, "the next start will not know whose a task type was");
        }
    }
}

async fn contents_of(files: &Fingerprint) -> Option<[u8; 32]> {
    let files = files.clone();
    aside(move || files::contents(&files)).await.ok()
}

/// Work that waits for a disk.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
