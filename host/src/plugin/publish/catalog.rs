//! Which plugin version answers which task type: one atomic pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use queue::{OfferedPlugin, TaskType};
use rand::Rng;
use tokio::sync::watch;

use crate::error::LoadError;
use crate::plugin::publish::ownership;
use crate::version::PluginVersion;
use crate::version::health::Verdict;

type Versions = BTreeMap<String, InForce>;

/// A version in force, and the one before it while the new one is watched and may give way to it.
#[derive(Debug, Clone)]
struct InForce {
    version: Arc<PluginVersion>,
    before: Option<Arc<PluginVersion>>,
}

/// What came of putting a version in force.
#[derive(Debug)]
pub struct Published {
    /// The version that it replaces.
    pub old: Option<Arc<PluginVersion>>,
    /// Whether there is one to go back to while its first tasks are watched.
    pub watched: bool,
    /// Versions of other plugins that it took names or task types from; they are in force no more.
    pub displaced: Vec<Arc<PluginVersion>>,
}

/// A version that was taken out of force because too many of its first tasks failed.
#[derive(Debug)]
pub struct RolledBack {
    /// The version that is in force again.
    pub to: Arc<PluginVersion>,
    /// How many of its tasks failed.
    pub failed: u32,
    /// How many ended.
    pub ended: u32,
}

/// The plugins in force. A reader sees the old set or the new one, never a mixture.
#[derive(Debug)]
pub struct PluginCatalog {
    versions: ArcSwap<Versions>,
    /// Writers take turns; readers never wait.
    changing: Mutex<()>,
    offered: watch::Sender<Vec<OfferedPlugin>>,
    /// Plugins whose files in place were rolled back since somebody asked.
    rolled_back: Mutex<Vec<String>>,
}

impl Default for PluginCatalog {
    fn default() -> Self {
        Self {
            versions: ArcSwap::default(),
            changing: Mutex::new(()),
            offered: watch::Sender::new(Vec::new()),
            rolled_back: Mutex::new(Vec::new()),
        }
    }
}

impl PluginCatalog {
    /// The version that answers a task of `task_type` now. While a new one is watched that takes only a share of the
    /// tasks, the others go to the one before.
    pub fn get(&self, task_type: &TaskType) -> Option<Arc<PluginVersion>> {
        let handles =
            |version: &PluginVersion| version.task_types().any(|known| known == task_type);
        let versions = self.versions.load();
        let in_force = versions.values().find(|in_force| handles(&in_force.version))?;
        let before = in_force.before.as_ref().filter(|before| handles(before));
        let answers = match (before, in_force.version.swap.canary_percent) {
            (Some(before), Some(percent)) if !rand::rng().random_ratio(percent.into(), 100) => {
                before
            }
            _ => &in_force.version,
        };
        Some(Arc::clone(answers))
    }

    /// The version in force under a plugin's name.
    pub fn named(&self, name: &str) -> Option<Arc<PluginVersion>> {
        self.versions.load().get(name).map(|in_force| Arc::clone(&in_force.version))
    }

    /// What is offered; a new value with each change.
    pub fn offered(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }

    /// Puts a version in force.
    ///
    /// # Errors
    ///
    /// [`LoadError::TypeTaken`] or [`LoadError::NameTaken`] when another plugin has what it claims and keeps it; nothing
    /// changes then.
    pub fn publish(&self, version: Arc<PluginVersion>) -> Result<Published, LoadError> {
        self.publish_over(version, &BTreeSet::new())
    }

    /// As [`PluginCatalog::publish`]. The plugins in `gone` have no file any more and give way to every other one.
    pub(crate) fn publish_over(
        &self,
        version: Arc<PluginVersion>,
        gone: &BTreeSet<String>,
    ) -> Result<Published, LoadError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let mut give_way = Vec::new();
        for in_force in versions.values_mut() {
            let owner = &in_force.version;
            if owner.name() == version.name() {
                continue;
            }
            if let Some(refusal) = ownership::contested(&version, owner) {
                if !gone.contains(owner.name()) && !ownership::goes_first(&version, owner) {
                    return Err(refusal);
                }
                give_way.push(owner.name().to_owned());
            } else {
                // What its new version has dropped is free. The one before, which had it, cannot come back then.
                in_force.before.take_if(|had| ownership::contested_type(&version, had).is_some());
            }
        }
        let displaced =
            give_way.iter().filter_map(|name| Some(versions.remove(name)?.version)).collect();
        let name = version.name().to_owned();
        let replaced = versions.remove(&name);
        // Of a version that was still watched nothing is known: the way back leads past it.
        let before = replaced
            .iter()
            .flat_map(|replaced| replaced.before.iter().chain([&replaced.version]))
            .find(|before| version.may_give_way_to(before))
            .cloned();
        let old = replaced.map(|replaced| replaced.version);
        let published = Published { old, watched: before.is_some(), displaced };
        versions.insert(name, InForce { version, before });
        self.put(versions);
        Ok(published)
    }

    /// Looks how a version does that a task has just ended on. One that does worse than the version before gives way to
    /// it; one that does well lets the version before go.
    pub fn judge(&self, version: &Arc<PluginVersion>) -> Option<RolledBack> {
        let before = {
            let versions = self.versions.load();
            let in_force = versions.get(version.name())?;
            // Most versions are watched no longer: a look without a lock.
            let before = in_force.before.clone()?;
            Arc::ptr_eq(&in_force.version, version).then_some(before)?
        };
        let verdict = version.tally.judge(&before.tally);
        if verdict == Verdict::Watch {
            return None;
        }
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let in_force = versions.get_mut(version.name())?;
        // Another task's end may have decided it meanwhile, or another version come.
        if !Arc::ptr_eq(&in_force.version, version) || in_force.before.is_none() {
            return None;
        }
        in_force.before = None;
        let rolled_back = match verdict {
            Verdict::RollBack { failed, ended } => {
                in_force.version = Arc::clone(&before);
                Some(RolledBack { to: before, failed, ended })
            }
            Verdict::Watch | Verdict::Keep => None,
        };
        self.put(versions);
        rolled_back
    }

    /// All that is in force.
    pub(crate) fn in_force(&self) -> Vec<Arc<PluginVersion>> {
        self.versions.load().values().map(|in_force| Arc::clone(&in_force.version)).collect()
    }

    /// Notes that what lies in the folder for a plugin was rolled back, and that it is remembered.
    pub(crate) fn note_rolled_back(&self, name: &str) {
        let mut names = self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(name.to_owned());
    }

    /// What was noted since the last call.
    pub(crate) fn take_rolled_back(&self) -> Vec<String> {
        std::mem::take(&mut self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a plugin out of force.
    pub fn remove(&self, name: &str) -> Option<Arc<PluginVersion>> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let old = versions.remove(name).map(|in_force| in_force.version);
        self.put(versions);
        old
    }

    fn put(&self, versions: Versions) {
        let offered = versions.values().map(|in_force| in_force.version.offered()).collect();
        self.versions.store(Arc::new(versions));
        self.offered.send_replace(offered);
    }
}
