//! Tells what happens to plugins: to the log's readers at once, and to Redis for everybody else.
//!
//! Nothing waits for it. A Redis that is away gets the entries when it is back, as many as there is room for.

use std::time::Duration;

use queue::task::now_ms;
use queue::{PluginChange, PluginEvent, TaskQueue};
use tokio::sync::mpsc;

use crate::error::LoadError;
use crate::version::PluginVersion;

/// Entries that wait for a Redis that is away.
const WAITING_AT_MOST: usize = 256;
/// Longest reason: a schema's may quote the schema.
const MAX_REASON_CHARS: usize = 500;
const AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Where the history is told.
#[derive(Debug, Clone)]
pub struct History {
    worker: String,
    events: mpsc::Sender<PluginEvent>,
}

impl History {
    /// A history of one worker in `queue`, told by a task that ends with the last clone of what comes back.
    pub fn new(queue: TaskQueue, worker: &str) -> Self {
        let (events, told) = mpsc::channel(WAITING_AT_MOST);
        tokio::spawn(tell(queue, told));
        Self { worker: worker.to_owned(), events }
    }

    pub(crate) fn published(&self, version: &PluginVersion, replaces: Option<&PluginVersion>) {
        self.note(version.name(), PluginChange::Published, Some(version), replaces, None);
    }

    pub(crate) fn removed(&self, version: &PluginVersion) {
        self.note(version.name(), PluginChange::Removed, Some(version), None, None);
    }

    pub(crate) fn refused(&self, plugin: &str, error: &LoadError) {
        let reason = ops::chain::chain(error).to_string();
        let reason = reason.chars().take(MAX_REASON_CHARS).collect();
        self.note(plugin, PluginChange::Refused, None, None, Some(reason));
    }

    pub(crate) fn rolled_back(&self, from: &PluginVersion, to: &PluginVersion, reason: String) {
        self.note(from.name(), PluginChange::RolledBack, Some(from), Some(to), Some(reason));
    }

    fn note(
        &self,
        plugin: &str,
        change: PluginChange,
        version: Option<&PluginVersion>,
        other: Option<&PluginVersion>,
        reason: Option<String>,
    ) {
        let event = PluginEvent {
            at: now_ms(),
            worker: self.worker.clone(),
            plugin: plugin.to_owned(),
            change,
            version: version.map(|version| version.descriptor.version.clone()),
            digest: version.map(|version| version.digest.clone()),
            other_version: other.map(|other| other.descriptor.version.clone()),
            reason,
        };
        if self.events.try_send(event).is_err() {
            tracing::warn!(
                plugin,
                "the plugins' history has no room; this change is in the log alone"
            );
        }
    }
}

async fn tell(queue: TaskQueue, mut told: mpsc::Receiver<PluginEvent>) {
    while let Some(event) = told.recv().await {
        let mut waits = false;
        while let Err(error) = queue.note_plugin_event(&event).await {
            if !std::mem::replace(&mut waits, true) {
                tracing::warn!(error = %error.source, "the plugins' history waits for Redis");
            }
            if told.is_closed() {
                return;
            }
            tokio::time::sleep(AFTER_TROUBLE).await;
        }
    }
}
