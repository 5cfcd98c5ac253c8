//! What a worker tells people of itself: where it runs, how much memory it uses, and what each of its plugins may reach.
//!
//! It is part of the worker's record, which is written with each heartbeat and read by every coordinator: so it is bounded. The
//! queue needs none of it. Names only, never the value of a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json;

/// Most plugins of one worker that are told.
const MAX_PLUGINS: usize = 64;
/// Most letters of all that one plugin may reach. What is above is counted only.
const MAX_LETTERS: usize = 4_096;

/// What a worker tells of itself. A worker of an older release tells nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerFacts {
    /// The name of its machine.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub host: String,
    /// Memory of the whole process, in bytes; none where the system does not tell.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub resident_bytes: Option<u64>,
    /// What the process may use, in bytes: the limit of its control group, or the machine's memory.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub memory_limit_bytes: Option<u64>,
    /// Memory that is kept resident for the next instances, in bytes.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub pool_bytes: Option<u64>,
    /// Memories of running instances.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub memories: Option<u64>,
    /// Its plugin folder.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub plugin_folder: Option<String>,
    /// Its plugin cache folder; none when it has none.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub plugin_cache: Option<String>,
    /// Its plugins by name.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub plugins: BTreeMap<String, PluginFacts>,
}

/// What a plugin may reach and use, as it runs on one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PluginFacts {
    /// It was pushed to the fleet. Otherwise it lies in the worker's own folder.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub is_fleets: bool,
    /// Origins that it may send requests to.
    #[serde(default, deserialize_with = "json::readable", skip_serializing_if = "Vec::is_empty")]
    pub net: Vec<String>,
    /// Those of them that are told the trace of a request.
    #[serde(default, deserialize_with = "json::readable", skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// Files that it may read: its name for one, and the file.
    #[serde(default, deserialize_with = "json::readable", skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// Secrets that the host adds to its requests: the variable, the header and the origin. Never the value.
    #[serde(default, deserialize_with = "json::readable", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Variables of the worker that it may read: the setting and the variable.
    #[serde(default, deserialize_with = "json::readable", skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Whether it may use the cache.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub cache: bool,
    /// The limits of one task, by their names in the settings.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub limits: BTreeMap<String, u64>,
    /// Entries that are not told, because there are too many.
    #[serde(default, deserialize_with = "json::readable_or_default")]
    pub left_out: usize,
}

impl WorkerFacts {
    /// As it is told: of the first plugins only.
    pub(super) fn bounded(mut self) -> Self {
        if let Some((first_left_out, _)) = self.plugins.iter().nth(MAX_PLUGINS) {
            let first_left_out = first_left_out.clone();
            self.plugins.split_off(&first_left_out);
        }
        self
    }
}

impl PluginFacts {
    /// As it is told: at most 4,096 letters of what it may reach, and the number of entries above.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let mut room = MAX_LETTERS;
        let mut left_out = 0;
        for list in
            [&mut self.net, &mut self.secrets, &mut self.data, &mut self.trace, &mut self.variables]
        {
            list.retain(|entry| {
                let left = room.checked_sub(entry.chars().count());
                room = left.unwrap_or(room);
                left_out += usize::from(left.is_none());
                left.is_some()
            });
        }
        self.left_out += left_out;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_bounded_and_the_rest_is_counted() {
        let long = |count: usize| vec!["x".repeat(100); count];
        let facts = PluginFacts { net: long(30), secrets: long(20), ..PluginFacts::default() };
        let told = facts.bounded();
        assert_eq!((told.net.len(), told.secrets.len(), told.left_out), (30, 10, 10));
        let many = (0..100).map(|n| (format!("{n:03}"), PluginFacts::default())).collect();
        let told = WorkerFacts { plugins: many, ..WorkerFacts::default() }.bounded();
        assert_eq!(told.plugins.len(), MAX_PLUGINS);
        assert!(told.plugins.contains_key("000") && !told.plugins.contains_key("064"));
    }

    #[test]
    fn what_an_older_worker_or_a_newer_one_tells_is_read() {
        let read = |text: &str| serde_json::from_str::<WorkerFacts>(text).unwrap();
        assert_eq!(read("{}"), WorkerFacts::default());
        assert_eq!(read(r#"{"resident_bytes": "much", "more": 1}"#), WorkerFacts::default());
    }
}
