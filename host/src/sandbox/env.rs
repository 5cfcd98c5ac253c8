//! Everything outside itself that a plugin's instances can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use queue::TaskQueue;

use crate::diagnosis::Diagnosis;
use crate::diagnosis::core_dump::CoreDump;
use crate::diagnosis::profile::Profile;
use crate::plugin_config::Limits;
use crate::replay::outside::Outside;
use crate::sandbox::http::HttpClient;

/// What the operator granted a plugin version. Files are read once, when the version is loaded.
pub(crate) struct PluginEnv {
    pub(crate) name: String,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) data: BTreeMap<String, Bytes>,
    pub(crate) cache: bool,
    pub(crate) http: Option<Arc<HttpClient>>,
    pub(crate) limits: Limits,
    /// For the cache and progress; none when the plugin runs without Redis.
    pub(crate) queue: Option<TaskQueue>,
    /// What answers its tasks.
    pub(crate) outside: Outside,
    /// What its author looks into its runs with; none in a worker.
    pub(crate) diagnosis: Option<Arc<Diagnosis>>,
}

impl PluginEnv {
    pub(crate) fn profile(&self) -> Option<&Profile> {
        self.diagnosis.as_ref()?.profile.as_ref()
    }

    pub(crate) fn core_dump(&self) -> Option<&CoreDump> {
        self.diagnosis.as_ref()?.core_dump.as_ref()
    }

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
            outside: Outside::Real,
            diagnosis: None,
        })
    }
}
