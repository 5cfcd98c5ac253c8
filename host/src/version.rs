//! One version of one plugin, ready to run tasks.

pub mod data_file;
pub(crate) mod health;
pub mod id;
pub(crate) mod name;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use queue::{OfferedPlugin, PluginFacts, TaskType};

use crate::bindings::schema::ParamsSchema;
use crate::bindings::{Descriptor, v1};
use crate::grants::diff::Access;
use crate::plugin_config::SwapConfig;
use crate::sandbox::Sandbox;
use crate::sandbox::env::PluginEnv;
use crate::trust::Accepted;
use crate::version::data_file::DataFiles;
use crate::version::health::TaskCounts;
use crate::version::id::VersionId;

/// A loaded and checked plugin. Each task holds an `Arc` to the version that runs it; the code is freed when the last
/// `Arc` is dropped.
pub struct PluginVersion {
    /// What `describe` returned.
    pub descriptor: Descriptor,
    /// SHA-256 of the component file, in hex.
    pub digest: String,
    /// The component file.
    pub path: PathBuf,
    /// It is not one of the fleet's.
    pub(crate) is_own: bool,
    /// For the author and the operator: settings that cannot be used, and what the plugin says of itself and nobody reads.
    pub warnings: Vec<String>,
    /// What `init` logged. Nothing when the plugin was prepared by an earlier start.
    pub messages: Vec<String>,
    /// Its data files.
    pub data: DataFiles,
    pub(crate) env: Arc<PluginEnv>,
    pub(crate) component: v1::PluginPre<Sandbox>,
    pub(crate) has_snapshot: bool,
    /// The operator's grants, one line each.
    pub(crate) granted: BTreeSet<String>,
    /// What people are told of it.
    pub(crate) facts: PluginFacts,
    pub(crate) settings_text: String,
    /// Its signature, when one was checked.
    pub(crate) signature: Option<SignedVersion>,
    pub(crate) swap: SwapConfig,
    pub(crate) task_counts: TaskCounts,
    pub(crate) schemas: HashMap<TaskType, ParamsSchema>,
}

/// A checked signature.
#[derive(Debug, Clone)]
pub(crate) struct SignedVersion {
    /// The text of the signature file.
    pub(crate) text: String,
    /// Who has signed what.
    pub(crate) accepted: Accepted,
    /// What the version may do.
    pub(crate) access: Access,
}

impl std::fmt::Debug for PluginVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginVersion")
            .field("name", &self.env.name)
            .field("version", &self.descriptor.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl PluginVersion {
    /// The plugin's name: its file name without the extension.
    pub fn name(&self) -> &str {
        &self.env.name
    }

    /// The task types it handles.
    pub fn task_types(&self) -> impl Iterator<Item = &TaskType> {
        self.descriptor.task_types.iter().map(|described| &described.name)
    }

    /// Their names, for people.
    pub(crate) fn type_names(&self) -> String {
        self.task_types().map(TaskType::as_str).collect::<Vec<_>>().join(", ")
    }

    /// SHA-256 of its data files, in hex.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        let files = self.data.iter();
        files.map(|(name, file)| (name.clone(), file.digest.clone())).collect()
    }

    /// Whether its instances start from the memory that `init` left. Otherwise `init` runs for each task.
    pub fn has_snapshot(&self) -> bool {
        self.has_snapshot
    }

    /// Identifies its component and its settings.
    pub fn id(&self) -> VersionId {
        VersionId::new(&self.digest, &self.settings_text)
    }

    /// Whether `previous` may run in its place: since then the operator has removed no grant, lowered no limit and
    /// pinned no other component.
    pub(crate) fn may_roll_back_to(&self, previous: &Self) -> bool {
        previous.granted.is_subset(&self.granted)
            && previous.env.limits.within(&self.env.limits)
            && self.swap.accepts(&previous.digest)
    }

    /// Its entry in the worker registry.
    pub fn offered(&self) -> OfferedPlugin {
        OfferedPlugin {
            name: self.env.name.clone(),
            version: self.descriptor.version.clone(),
            digest: self.digest.clone(),
            task_types: self.task_types().cloned().collect(),
            commands: chat_commands::for_record(&self.descriptor.commands),
        }
    }
}
