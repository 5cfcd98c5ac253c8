//! What is not in Redis yet. Tasks do not wait for it: it is bounded, and what does not fit is counted and dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::history::buckets::Counts;
use crate::history::record::{FinishedTask, Step, StepKind};
use crate::history::settings::HistorySettings;
use crate::task::TaskType;

/// So many entries do not wait for others.
const ENOUGH: usize = 64;
/// Most entries in one call. Redis does nothing else meanwhile.
const AT_ONCE: usize = 256;
/// Most entries that wait.
const MAX_ENTRIES: usize = 16_384;
/// Most bytes that wait.
const MAX_BYTES: usize = 8 << 20;

/// An encoded entry, and what the script needs to know of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) user_id: i64,
    pub(super) submitted_at: u64,
    pub(super) text: String,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) ended: Vec<Entry>,
    pub(super) steps: Vec<Entry>,
    pub(super) counts: Counts,
    bytes: usize,
}

impl Pending {
    fn is_full(&self) -> bool {
        self.ended.len() + self.steps.len() >= MAX_ENTRIES || self.bytes >= MAX_BYTES
    }

    /// Takes out up to [`AT_ONCE`] entries: ended tasks and steps.
    pub(super) fn take(&mut self) -> (Vec<Entry>, Vec<Entry>) {
        let ended = self.ended.drain(..self.ended.len().min(AT_ONCE)).collect::<Vec<_>>();
        let room = AT_ONCE - ended.len();
        let steps = self.steps.drain(..self.steps.len().min(room)).collect::<Vec<_>>();
        let taken: usize = ended.iter().chain(&steps).map(|entry| entry.text.len()).sum();
        self.bytes = self.bytes.saturating_sub(taken);
        (ended, steps)
    }
}

/// The history that this process has to write.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(super) settings: HistorySettings,
    pending: Mutex<Pending>,
    /// Enough waits for a call.
    pub(super) enough: Notify,
    dropped: AtomicU64,
}

impl Buffer {
    pub(crate) fn new(settings: HistorySettings) -> Self {
        Self {
            settings,
            pending: Mutex::default(),
            enough: Notify::new(),
            dropped: AtomicU64::new(0),
        }
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts entries that were dropped.
    pub(super) fn drop_entries(&self, count: usize) {
        self.dropped.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Drops what waits.
    pub(super) fn drop_rest(&self) {
        let rest = std::mem::take(&mut *self.pending());
        self.drop_entries(rest.ended.len() + rest.steps.len());
    }

    /// Entries that were dropped since the start, because Redis was full or did not answer.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn note_ended(&self, task: &FinishedTask) {
        let text = task.encode();
        let since = |from: u64, to: u64| to.saturating_sub(from);
        let wait = task.claimed_at.map(|at| since(task.submitted_at, at));
        let run = task.claimed_at.map(|at| since(at, task.ended_at));
        let total = since(task.submitted_at, task.ended_at);
        let entry = Entry { user_id: task.user_id, submitted_at: task.submitted_at, text };
        let mut pending = self.pending();
        let code = task.code.as_deref();
        pending.counts.ended(&task.task_type, task.status, code, (wait, run, total));
        self.push(pending, entry, |pending| &mut pending.ended);
    }

    /// `submitted_at` is when the step's task was submitted.
    pub(super) fn note_step(&self, task_type: &TaskType, submitted_at: u64, step: &Step) {
        let entry = Entry { user_id: step.user_id, submitted_at, text: step.encode() };
        let mut pending = self.pending();
        if matches!(step.what, StepKind::Retried { .. }) {
            pending.counts.retried(task_type);
        }
        self.push(pending, entry, |pending| &mut pending.steps);
    }

    fn push(
        &self,
        mut pending: MutexGuard<'_, Pending>,
        entry: Entry,
        list: impl FnOnce(&mut Pending) -> &mut Vec<Entry>,
    ) {
        if pending.is_full() {
            self.drop_entries(1);
            return;
        }
        pending.bytes += entry.text.len();
        list(&mut pending).push(entry);
        let waiting = pending.ended.len() + pending.steps.len();
        drop(pending);
        if waiting == ENOUGH {
            self.enough.notify_one();
        }
    }
}
