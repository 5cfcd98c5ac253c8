//! The history of plugin changes in Redis, for `worker plugins history`.
//!
//! Entries are sent in the background. While Redis is away they are buffered, up to a limit.

use std::time::Duration;

use ops::retry::{self, RetryPolicy};
use ops::shutdown::Shutdown;
use queue::task::now_ms;
use queue::{PluginChange, PluginEvent, RedisError, TaskQueue};
use tokio::sync::mpsc;

use crate::error::LoadError;
use crate::version::PluginVersion;

/// Entries buffered while Redis is away. More are dropped.
const MAX_BUFFERED: usize = 256;
/// Longest reason: that of a schema may quote the schema.
const MAX_REASON_CHARS: usize = 500;
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Adds entries to the history. Clones share the buffer.
#[derive(Debug, Clone)]
pub struct History {
    worker: String,
    events: mpsc::Sender<PluginEvent>,
}

impl History {
    /// The history of one worker in `queue`. A background task sends the entries; it ends with the last clone.
    pub fn new(queue: TaskQueue, worker: &str) -> Self {
        let (events, received) = mpsc::channel(MAX_BUFFERED);
        tokio::spawn(send(queue, received));
        Self { worker: worker.to_owned(), events }
    }

    pub(crate) fn published(&self, version: &PluginVersion, replaces: Option<&PluginVersion>) {
        self.add(version.name(), PluginChange::Published, Some(version), replaces, None);
    }

    pub(crate) fn removed(&self, version: &PluginVersion) {
        self.add(version.name(), PluginChange::Removed, Some(version), None, None);
    }

    pub(crate) fn refused(&self, plugin: &str, error: &LoadError) {
        let reason = ops::chain::chain(error).to_string();
        let reason = reason.chars().take(MAX_REASON_CHARS).collect();
        self.add(plugin, PluginChange::Refused, None, None, Some(reason));
    }

    pub(crate) fn rolled_back(&self, from: &PluginVersion, to: &PluginVersion, reason: String) {
        self.add(from.name(), PluginChange::RolledBack, Some(from), Some(to), Some(reason));
    }

    fn add(
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
            tracing::warn!(plugin, "plugin history not stored: its buffer is full");
        }
    }
}

async fn send(queue: TaskQueue, mut received: mpsc::Receiver<PluginEvent>) {
    while let Some(event) = received.recv().await {
        let mut is_reported = false;
        let pause_after = |error: &RedisError, pause| {
            if !std::mem::replace(&mut is_reported, true) {
                tracing::warn!(error = %error.source, "plugin history waits for Redis");
            }
            (!received.is_closed()).then_some(pause)
        };
        let note = || queue.note_plugin_event(&event);
        let policy = RetryPolicy::fixed(RETRY_DELAY);
        // Given up when the worker has ended: the channel is closed.
        let noted = retry::until_given_up(policy, &Shutdown::never(), note, pause_after).await;
        if !matches!(noted, Ok(Ok(()))) {
            return;
        }
    }
}
