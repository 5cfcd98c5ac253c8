//! Which plugin version answers which task type: one atomic pointer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use queue::{OfferedPlugin, TaskType};
use tokio::sync::watch;

use crate::error::LoadError;
use crate::plugin::PluginVersion;

type Versions = BTreeMap<String, Arc<PluginVersion>>;

/// The plugins in force. A reader sees the old set or the new one, never a mixture.
#[derive(Debug)]
pub struct PluginCatalog {
    versions: ArcSwap<Versions>,
    /// Writers take turns; readers never wait.
    changing: Mutex<()>,
    offered: watch::Sender<Vec<OfferedPlugin>>,
}

impl Default for PluginCatalog {
    fn default() -> Self {
        Self {
            versions: ArcSwap::default(),
            changing: Mutex::new(()),
            offered: watch::Sender::new(Vec::new()),
        }
    }
}

impl PluginCatalog {
    /// The version that answers `task_type` now.
    pub fn get(&self, task_type: &TaskType) -> Option<Arc<PluginVersion>> {
        let versions = self.versions.load();
        versions
            .values()
            .find(|version| version.task_types().any(|known| known == task_type))
            .map(Arc::clone)
    }

    /// The version in force under a plugin's name.
    pub fn named(&self, name: &str) -> Option<Arc<PluginVersion>> {
        self.versions.load().get(name).map(Arc::clone)
    }

    /// What is offered; a new value with each change.
    pub fn offered(&self) -> watch::Receiver<Vec<OfferedPlugin>> {
        self.offered.subscribe()
    }

    /// Puts a version in force and returns the one it replaces.
    ///
    /// # Errors
    ///
    /// [`LoadError::TypeTaken`] when another plugin handles one of its task types; nothing changes then.
    pub fn publish(&self, version: PluginVersion) -> Result<Option<Arc<PluginVersion>>, LoadError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        for owner in versions.values().filter(|owner| owner.name() != version.name()) {
            if let Some(taken) =
                version.task_types().find(|mine| owner.task_types().any(|theirs| theirs == *mine))
            {
                return Err(LoadError::TypeTaken {
                    plugin: version.name().to_owned(),
                    task_type: taken.clone(),
                    owner: owner.name().to_owned(),
                });
            }
        }
        let old = versions.insert(version.name().to_owned(), Arc::new(version));
        self.put(versions);
        Ok(old)
    }

    /// Takes a plugin out of force.
    pub fn remove(&self, name: &str) -> Option<Arc<PluginVersion>> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut versions = Versions::clone(&self.versions.load());
        let old = versions.remove(name);
        self.put(versions);
        old
    }

    fn put(&self, versions: Versions) {
        let offered = versions.values().map(|version| version.offered()).collect();
        self.versions.store(Arc::new(versions));
        self.offered.send_replace(offered);
    }
}
