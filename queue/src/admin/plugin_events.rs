//! The history of plugin swaps: what came into force on which worker, what was refused, what was rolled back, and why.
//!
//! A capped stream that every worker writes and everybody may read. It is told, never consulted: no swap waits for it,
//! and none is decided by it.

use redis::streams::StreamRangeReply;
use serde::{Deserialize, Serialize};

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;

/// Entries kept, about: those of ten workers with twenty swaps each.
const KEEP_EVENTS: usize = 200;
const FIELD: &str = "event";

/// What happened to a plugin on one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginChange {
    /// A version came into force.
    Published,
    /// A candidate was not taken; what ran before goes on.
    Refused,
    /// A version gave way to the one before.
    RolledBack,
    /// Its file is gone.
    Removed,
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginEvent {
    /// When, in milliseconds since 1970, by the worker's clock.
    pub at: u64,
    /// Which worker.
    pub worker: String,
    /// Which plugin.
    pub plugin: String,
    /// What happened.
    pub change: PluginChange,
    /// The version that it happened to; none when it could not be told.
    pub version: Option<String>,
    /// SHA-256 of that version's file, in hex.
    pub digest: Option<String>,
    /// The version that was in force before or is again.
    pub other_version: Option<String>,
    /// Why, for a person.
    pub reason: Option<String>,
}

impl TaskQueue {
    /// Adds to the history; the oldest entries go.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn note_plugin_event(&self, event: &PluginEvent) -> Result<(), RedisError> {
        let json = serde_json::to_string(event).unwrap_or_default();
        redis::cmd("XADD")
            .arg(self.keys.plugin_events())
            .arg(&["MAXLEN", "~"])
            .arg(KEEP_EVENTS)
            .arg(&["*", FIELD])
            .arg(json)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("note a plugin's change"))
    }

    /// The last `count` entries, newest first. One that a newer worker wrote in another way is left out.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn plugin_events(&self, count: usize) -> Result<Vec<PluginEvent>, RedisError> {
        let entries: StreamRangeReply = redis::cmd("XREVRANGE")
            .arg(self.keys.plugin_events())
            .arg(&["+", "-", "COUNT"])
            .arg(count)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the plugins' history"))?;
        let event = |json: String| serde_json::from_str(&json).ok();
        Ok(entries.ids.iter().filter_map(|entry| entry.get(FIELD).and_then(event)).collect())
    }
}
