//! One version of one plugin, ready to run tasks.

pub(crate) mod health;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use queue::{OfferedPlugin, TaskQueue, TaskType};

use crate::archive::VersionId;
use crate::bindings::schema::ParamsSchema;
use crate::bindings::{Descriptor, v1};
use crate::plugin::publish::data_guard::DataFacts;
use crate::plugin_config::{Limits, SwapConfig};
use crate::sandbox::Sandbox;
use crate::sandbox::http::HttpClient;
use crate::version::health::Tally;

/// A loaded and checked plugin. Tasks hold an `Arc` to the version they were claimed for; the code goes when the last
/// one drops it.
pub struct PluginVersion {
    /// What it says about itself.
    pub descriptor: Descriptor,
    /// SHA-256 of the component file, in hex.
    pub digest: String,
    /// Where it was loaded from.
    pub path: PathBuf,
    /// What of its settings cannot be used, and what its `init` wrote to the log; the latter not when it was prepared at
    /// an earlier start.
    pub told: Vec<String>,
    /// What it has of its data files.
    pub data: DataFacts,
    pub(crate) around: Arc<Surroundings>,
    pub(crate) component: v1::PluginPre<Sandbox>,
    /// Whether its instances begin with what `init` left; otherwise it runs for each task.
    pub(crate) initialised: bool,
    /// What the operator granted it, line by line.
    pub(crate) granted: BTreeSet<String>,
    /// The text of its settings.
    pub(crate) settings: String,
    pub(crate) swap: SwapConfig,
    pub(crate) tally: Tally,
    pub(crate) schemas: HashMap<TaskType, ParamsSchema>,
}

impl std::fmt::Debug for PluginVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginVersion")
            .field("name", &self.around.name)
            .field("version", &self.descriptor.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl PluginVersion {
    /// The plugin's name: its file name without the ending.
    pub fn name(&self) -> &str {
        &self.around.name
    }

    /// The task types it handles.
    pub fn task_types(&self) -> impl Iterator<Item = &TaskType> {
        self.descriptor.task_types.iter().map(|described| &described.name)
    }

    /// Whether its instances begin with what `init` left; otherwise it runs for each task.
    pub fn prepared(&self) -> bool {
        self.initialised
    }

    /// Which version it is: its component and its settings.
    pub fn id(&self) -> VersionId {
        VersionId::new(&self.digest, &self.settings)
    }

    /// Whether `before` may answer in its place: the operator has since taken nothing away that it had, lowered no
    /// limit, and pins no other component.
    pub(crate) fn may_give_way_to(&self, before: &Self) -> bool {
        before.granted.is_subset(&self.granted)
            && before.around.limits.within(&self.around.limits)
            && self.swap.takes(&before.digest)
    }

    /// What the worker registry says about it.
    pub fn offered(&self) -> OfferedPlugin {
        OfferedPlugin {
            name: self.around.name.clone(),
            version: self.descriptor.version.clone(),
            digest: self.digest.clone(),
            task_types: self.task_types().cloned().collect(),
            commands: self.descriptor.commands.clone(),
        }
    }
}

/// What a plugin version's instances can reach: everything the operator granted, read once when it was loaded.
pub(crate) struct Surroundings {
    pub(crate) name: String,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) data: BTreeMap<String, Bytes>,
    pub(crate) cache: bool,
    pub(crate) http: Option<Arc<HttpClient>>,
    pub(crate) limits: Limits,
    /// For the cache and progress; none when the plugin runs without Redis.
    pub(crate) queue: Option<TaskQueue>,
}

impl Surroundings {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Arc<Self> {
        Arc::new(Self {
            name: "test".to_owned(),
            settings: BTreeMap::new(),
            data: BTreeMap::new(),
            cache: false,
            http: None,
            limits: crate::plugin_config::PluginConfig::nothing_granted().limits,
            queue: None,
        })
    }
}
