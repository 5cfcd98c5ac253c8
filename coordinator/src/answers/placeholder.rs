//! Placeholders that this process is sending at the moment.
//!
//! A task may be answered before its placeholder has reached the chat: whoever delivers the answer waits here for the
//! placeholder, so that there is one message and not two. A placeholder that another process was sending is looked
//! for in the delivery ledger instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use queue::TaskId;
use tokio_util::sync::CancellationToken;

type Entries = HashMap<TaskId, CancellationToken>;

/// The placeholders on their way. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placeholders {
    on_their_way: Arc<Mutex<Entries>>,
}

impl Placeholders {
    /// Says that a placeholder for `id` is going to be sent. It is over when the guard is dropped.
    pub(crate) fn begin(&self, id: &TaskId) -> OnItsWay {
        let over = CancellationToken::new();
        self.entries().insert(id.clone(), over.clone());
        OnItsWay { placeholders: self.clone(), id: id.clone(), over }
    }

    /// Waits until `id`'s placeholder was sent or given up; returns at once when none is on its way here.
    pub(crate) async fn settled(&self, id: &TaskId) {
        let over = self.entries().get(id).cloned();
        if let Some(over) = over {
            over.cancelled().await;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A placeholder on its way.
#[derive(Debug)]
pub(crate) struct OnItsWay {
    placeholders: Placeholders,
    id: TaskId,
    over: CancellationToken,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.placeholders.entries().remove(&self.id);
        self.over.cancel();
    }
}
