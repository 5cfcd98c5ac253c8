//! Which plugin version runs the tasks of which type: one atomic pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use queue::{OfferedPlugin, PluginFacts, TaskType};
use rand::Rng;
use tokio::sync::watch;

use super::ownership;
use crate::error::LoadError;
use crate::version::PluginVersion;
use crate::version::health::Verdict;

type Versions = BTreeMap<String, InForce>;

/// A version in force. While its first tasks are watched, also the previous version, for a rollback.
#[derive(Debug, Clone)]
struct InForce {
    version: Arc<PluginVersion>,
    previous: Option<Arc<PluginVersion>>,
}

/// What a publication changed.
#[derive(Debug)]
pub struct Published {
    /// The version that it replaced.
    pub old: Option<Arc<PluginVersion>>,
    /// Whether its first tasks are watched, with a version to roll back to.
    pub watched: bool,
    /// Versions of other plugins that had its name or task types. They are no longer in force.
    pub displaced: Vec<Arc<PluginVersion>>,
}

/// A rollback, because too many of a version's first tasks failed.
#[derive(Debug)]
pub struct RolledBack {
    /// The version that is in force again.
    pub to: Arc<PluginVersion>,
    /// How many of its tasks failed.
    pub failed: u32,
    /// How many ended.
    pub ended: u32,
}

/// The plugins in force. A reader sees either the old set or the new one.
#[derive(Debug)]
pub struct PluginCatalog {
    versions: ArcSwap<Versions>,
    /// Held by a writer. Readers never wait.
    write_lock: Mutex<()>,
    offered: watch::Sender<Vec<OfferedPlugin>>,
    /// Plugins that were rolled back since the last [`PluginCatalog::take_rolled_back`].
    rolled_back: Mutex<Vec<String>>,
}

impl Default for PluginCatalog {
    fn default() -> Self {
        Self {
            versions: ArcSwap::default(),
            write_lock: Mutex::new(()),
            offered: watch::Sender::new(Vec::new()),
            rolled_back: Mutex::new(Vec::new()),
        }
    }
}

impl PluginCatalog {
    /// The version for the next task of `task_type`. While a canary is watched, it gets its share of the tasks and the
    /// previous version the others.
    pub fn get(&self, task_type: &TaskType) -> Option<Arc<PluginVersion>> {
        let handles =
            |version: &PluginVersion| version.task_types().any(|known| known == task_type);
        let versions = self.versions.load();
        let in_force = versions.values().find(|in_force| handles(&in_force.version))?;
        let previous = in_force.previous.as_ref().filter(|previous| handles(previous));
        let chosen = match (previous, in_force.version.swap.canary_percent) {
            (Some(previous), Some(percent)) if !rand::rng().random_ratio(percent.into(), 100) => {
                previous
            }
            _ => &in_force.version,
        };
        Some(Arc::clone(chosen))
    }

    /// The version in force under a plugin's name.
    pub fn named(&self, name: &str) -> Option<Arc<PluginVersion>> {
        self.versions.load().get(name).map(|in_force| Arc::clone(&in_force.version))
    }

    /// What people are told of the versions in force, by plugin.
    pub(crate) fn facts(&self) -> BTreeMap<String, PluginFacts> {
        let versions = self.versions.load();
        let facts =
            |(name, in_force): (&String, &InForce)| (name.clone(), in_force.version.facts.clone());
        versions.iter().map(facts).collect()
    }

    /// The plugins on offer; a new value with each change.
    pub fn offered(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }

    /// Puts a version in force.
    ///
    /// # Errors
    ///
    /// [`LoadError::TypeTaken`] or [`LoadError::NameTaken`] when another plugin has its name or a task type and has
    /// priority. Nothing changes then.
    pub fn publish(&self, version: Arc<PluginVersion>) -> Result<Published, LoadError> {
        self.publish_over(version, &BTreeSet::new())
    }

    /// As [`PluginCatalog::publish`]. The files of the plugins in `gone` were removed: every other plugin has priority
    /// over them.
    pub(crate) fn publish_over(
        &self,
        version: Arc<PluginVersion>,
        gone: &BTreeSet<String>,
    ) -> Result<Published, LoadError> {
        let _guard = self.write_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let mut displaced = Vec::new();
        for in_force in versions.values_mut() {
            let owner = &in_force.version;
            if owner.name() == version.name() {
                continue;
            }
            if let Some(refusal) = ownership::conflict(&version, owner) {
                if !gone.contains(owner.name()) && !ownership::has_priority(&version, owner) {
                    return Err(refusal);
                }
                displaced.push(owner.name().to_owned());
            } else {
                // Its new version has dropped a task type that is now taken: no rollback to the previous version.
                in_force.previous.take_if(|previous| {
                    ownership::task_type_conflict(&version, previous).is_some()
                });
            }
        }
        let displaced =
            displaced.iter().filter_map(|name| Some(versions.remove(name)?.version)).collect();
        let name = version.name().to_owned();
        let replaced = versions.remove(&name);
        // A version that was still watched may be bad: prefer the one before it.
        let previous = replaced
            .iter()
            .flat_map(|replaced| replaced.previous.iter().chain([&replaced.version]))
            .find(|previous| version.may_roll_back_to(previous))
            .cloned();
        let old = replaced.map(|replaced| replaced.version);
        let published = Published { old, watched: previous.is_some(), displaced };
        versions.insert(name, InForce { version, previous });
        self.replace(versions);
        Ok(published)
    }

    /// Checks a version after each of its tasks. When it fails too often, the previous version is put in force again;
    /// when it does well, the previous version is released.
    pub fn roll_back_if_failing(&self, version: &Arc<PluginVersion>) -> Option<RolledBack> {
        let previous = {
            let versions = self.versions.load();
            let in_force = versions.get(version.name())?;
            // Most versions are no longer watched: no lock for them.
            let previous = in_force.previous.clone()?;
            Arc::ptr_eq(&in_force.version, version).then_some(previous)?
        };
        let verdict = version.task_counts.verdict(&previous.task_counts);
        if verdict == Verdict::Undecided {
            return None;
        }
        let _guard = self.write_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let in_force = versions.get_mut(version.name())?;
        // Another task or a new version may have come first.
        if !Arc::ptr_eq(&in_force.version, version) || in_force.previous.is_none() {
            return None;
        }
        in_force.previous = None;
        let rolled_back = match verdict {
            Verdict::RollBack { failed, ended } => {
                in_force.version = Arc::clone(&previous);
                Some(RolledBack { to: previous, failed, ended })
            }
            Verdict::Undecided | Verdict::Healthy => None,
        };
        self.replace(versions);
        rolled_back
    }

    /// All versions in force.
    pub(crate) fn in_force(&self) -> Vec<Arc<PluginVersion>> {
        self.versions.load().values().map(|in_force| Arc::clone(&in_force.version)).collect()
    }

    /// Notes that a plugin's file in the folder was rolled back and that the archive says so.
    pub(crate) fn note_rolled_back(&self, name: &str) {
        let mut names = self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(name.to_owned());
    }

    /// The plugins noted since the last call.
    pub(crate) fn take_rolled_back(&self) -> Vec<String> {
        std::mem::take(&mut self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a plugin out of force.
    pub fn remove(&self, name: &str) -> Option<Arc<PluginVersion>> {
        let _guard = self.write_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let old = versions.remove(name).map(|in_force| in_force.version);
        self.replace(versions);
        old
    }

    fn replace(&self, versions: Versions) {
        let offered = versions.values().map(|in_force| in_force.version.offered()).collect();
        self.versions.store(Arc::new(versions));
        self.offered.send_replace(offered);
    }
}
