//! The history of plugin swaps: which version was published, refused or rolled back on which worker, and why.
//!
//! A capped stream that workers append to. It is for people only: no swap waits for it or depends on it.

use redis::streams::StreamRangeReply;
use serde::{Deserialize, Serialize};

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;

/// About how many entries are kept: those of ten workers with twenty swaps each.
const MAX_EVENTS: usize = 200;
const FIELD: &str = "event";

/// What happened to a plugin on one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginChange {
    /// A version came into force.
    Published,
    /// A candidate was refused; the earlier version stays in force.
    Refused,
    /// A version was replaced by an earlier one.
    RolledBack,
    /// Its file was removed.
    Removed,
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginEvent {
    /// Time of the event, in milliseconds since 1970 by the worker's clock.
    pub at: u64,
    /// The worker's id.
    pub worker: String,
    /// The plugin's name.
    pub plugin: String,
    /// The kind of event.
    pub change: PluginChange,
    /// The version concerned; none when it is unknown.
    pub version: Option<String>,
    /// SHA-256 of that version's file, in hex.
    pub digest: Option<String>,
    /// The version that was in force before, or is in force again.
    pub other_version: Option<String>,
    /// The reason, for a person.
    pub reason: Option<String>,
}

impl TaskQueue {
    /// Appends to the history; the oldest entries are dropped.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn note_plugin_event(&self, event: &PluginEvent) -> Result<(), RedisError> {
        let json = serde_json::to_string(event).unwrap_or_default();
        redis::cmd("XADD")
            .arg(self.keys.plugin_events())
            .arg(&["MAXLEN", "~"])
            .arg(MAX_EVENTS)
            .arg(&["*", FIELD])
            .arg(json)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("record a plugin event"))
    }

    /// The last `count` entries, newest first. An entry that this version cannot read is left out.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn plugin_events(&self, count: usize) -> Result<Vec<PluginEvent>, RedisError> {
        let entries: StreamRangeReply = redis::cmd("XREVRANGE")
            .arg(self.keys.plugin_events())
            .arg(&["+", "-", "COUNT"])
            .arg(count)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the plugin events"))?;
        let event = |json: String| serde_json::from_str(&json).ok();
        Ok(entries.ids.iter().filter_map(|entry| entry.get(FIELD).and_then(event)).collect())
    }
}
