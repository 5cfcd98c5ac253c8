//! The queue's figures, read at most once in two seconds for all who look.

use std::sync::Arc;
use std::time::Duration;

use queue::task::now_ms;
use queue::{STUCK_AFTER, TaskQueue, TypeStats, WorkerRecord};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How old figures may be where they are read again and again.
const FRESH: Duration = Duration::from_secs(2);
/// Redis is waited for this long.
pub(super) const READ_AT_MOST: Duration = Duration::from_secs(3);

/// Figures of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Snapshot {
    /// When, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) types: Vec<TypeStats>,
    pub(super) workers: Vec<WorkerRecord>,
    /// Why the figures are missing.
    pub(super) unread: Option<String>,
    /// Why Redis takes no writes, though it answers.
    pub(super) refused: Option<String>,
}

impl Snapshot {
    pub(super) fn sum(&self, of: impl Fn(&TypeStats) -> u64) -> u64 {
        self.types.iter().map(of).sum()
    }

    /// How many tasks wait.
    pub(super) fn waiting(&self) -> u64 {
        self.sum(|of| of.ready + of.delayed)
    }

    /// A counter of all types together.
    pub(super) fn counter(&self, name: &str) -> u64 {
        self.sum(|of| of.counters.get(name).copied().unwrap_or_default())
    }
}

/// The latest figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Figures {
    /// The figures of this moment, or of the two seconds before it.
    pub(super) async fn now(&self, queue: Option<&TaskQueue>) -> Arc<Snapshot> {
        self.younger_than(FRESH, queue).await
    }

    /// The figures of this moment, for a page that was just opened: perhaps to see what a change did.
    pub(super) async fn for_opened(&self, queue: Option<&TaskQueue>) -> Arc<Snapshot> {
        self.younger_than(Duration::ZERO, queue).await
    }

    async fn younger_than(&self, age: Duration, queue: Option<&TaskQueue>) -> Arc<Snapshot> {
        let asked_at = Instant::now();
        // Held while Redis is read, so that all who ask meanwhile share one answer.
        let mut latest = self.latest.lock().await;
        if let Some((began_at, snapshot)) = &*latest
            && (*began_at >= asked_at || began_at.elapsed() < age)
        {
            return Arc::clone(snapshot);
        }
        let began_at = Instant::now();
        let snapshot = Arc::new(read(queue).await);
        if queue.is_none() {
            return snapshot; // It costs nothing, and Redis may be reached in a moment.
        }
        *latest = Some((began_at, Arc::clone(&snapshot)));
        snapshot
    }

    /// Forgets the figures, because somebody has changed what they are about.
    pub(super) async fn renew(&self) {
        *self.latest.lock().await = None;
    }
}

async fn read(queue: Option<&TaskQueue>) -> Snapshot {
    let at = now_ms();
    let unread = |why: String| Snapshot { at, unread: Some(why), ..Snapshot::default() };
    let Some(queue) = queue else { return unread("Redis was not reached yet".to_owned()) };
    let reading = async {
        let types = queue.stats(STUCK_AFTER).await?;
        let workers = queue.workers().await?;
        let refused = TaskQueue::readiness(Some(queue)).await.err();
        Ok::<_, queue::RedisError>(Snapshot { at, types, workers, unread: None, refused })
    };
    match tokio::time::timeout(READ_AT_MOST, reading).await {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(error)) => unread(ops::chain::chain(&error).to_string()),
        Err(_) => unread(format!("Redis gave no answer within {} s", READ_AT_MOST.as_secs())),
    }
}
