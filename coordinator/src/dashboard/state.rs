//! What the dashboard's requests share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use queue::TaskQueue;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::figures::Figures;
use super::past::PastReader;
use super::plans::Plans;
use super::sessions::{Role, Sessions, Viewer, secret};
use super::settings::DashboardConfig;
use super::trend::Trend;

/// Most pages that are kept up to date at the same time.
const MAX_STREAMS: usize = 64;
/// Most messages that wait for their page.
const MAX_NOTES: usize = 1_000;

/// What the coordinator knows when the dashboard starts, or later.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// The queue, once Redis was reached.
    pub(crate) queue: Arc<OnceLock<TaskQueue>>,
    /// The bot's id, once the Bot API was reached.
    pub(crate) bot: Arc<OnceLock<String>>,
    /// Why no updates arrive.
    pub(crate) problem: watch::Receiver<Option<String>>,
    /// Whether this coordinator keeps a history of finished tasks.
    pub(crate) has_history: bool,
}

/// What the dashboard's requests share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: DashboardConfig,
    pub(super) sources: Sources,
    pub(super) sessions: Sessions,
    pub(super) attempts: Attempts,
    pub(super) figures: Figures,
    pub(super) past: PastReader,
    trend: Mutex<Trend>,
    pub(super) plans: Plans,
    pub(super) streams: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
    /// Who sends a request where nobody logs in.
    everybody: Viewer,
    /// What to tell somebody on their next page, by their CSRF token.
    notes: Mutex<HashMap<String, String>>,
}

impl State {
    pub(super) fn new(
        config: DashboardConfig,
        sources: Sources,
        shutdown: CancellationToken,
    ) -> Self {
        let everybody = Viewer {
            name: "this machine".to_owned(),
            role: Role::Admin,
            csrf: secret(),
            session: None,
        };
        Self {
            config,
            sources,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            figures: Figures::default(),
            past: PastReader::default(),
            trend: Mutex::default(),
            plans: Plans::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            shutdown,
            everybody,
            notes: Mutex::default(),
        }
    }

    /// The queue; none before Redis was reached.
    pub(super) fn queue(&self) -> Option<&TaskQueue> {
        self.sources.queue.get()
    }

    /// Who has this session, or whoever sends a request where nobody logs in.
    pub(super) fn viewer(&self, session: Option<&str>) -> Option<Viewer> {
        if self.config.tokens.admin.is_none() {
            return Some(self.everybody.clone());
        }
        self.sessions.viewer(session?, Instant::now())
    }

    /// Tells somebody something on their next page.
    pub(super) fn tell(&self, viewer: &Viewer, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= MAX_NOTES {
            notes.clear();
        }
        notes.insert(viewer.csrf.clone(), note);
    }

    /// What to tell them on this page.
    pub(super) fn told(&self, viewer: &Viewer) -> Option<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).remove(&viewer.csrf)
    }

    /// What this process has seen.
    pub(super) fn trend(&self) -> MutexGuard<'_, Trend> {
        self.trend.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
