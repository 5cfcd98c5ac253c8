//! How many tasks a worker runs at once, shared by all lanes that it serves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits to run tasks. Lanes that wait for one are served in their order, before a lane that is busy already.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// The right to run one task.
pub(crate) type Permit = OwnedSemaphorePermit;

/// A lane's place in the line for a permit.
pub(crate) type PermitWait = Pin<Box<dyn Future<Output = Option<Permit>> + Send>>;

impl Room {
    pub(crate) fn new(concurrency: usize) -> Self {
        let permits = Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)));
        Self { permits, waiting: Arc::default() }
    }

    /// Takes up to `most` permits that nobody waits for.
    pub(crate) fn take(&self, most: usize) -> Vec<Permit> {
        let try_one = || Arc::clone(&self.permits).try_acquire_owned().ok();
        std::iter::from_fn(try_one).take(most).collect()
    }

    /// Waits for one permit. Others that hold permits make room for a lane that has none. Dropping the future leaves the
    /// line.
    pub(crate) fn wait(&self, has_none: bool) -> PermitWait {
        let permits = Arc::clone(&self.permits);
        let in_line = has_none.then(|| InLine::enter(Arc::clone(&self.waiting)));
        Box::pin(async move {
            let permit = permits.acquire_owned().await.ok();
            drop(in_line);
            permit
        })
    }

    /// Whether a lane without permits waits for one. Other lanes then give theirs up after a task.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.permits.available_permits() == 0
    }
}

/// Counts one that waits, also when it gives up.
struct InLine(Arc<AtomicUsize>);

impl InLine {
    fn enter(waiting: Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lane_without_permits_is_served_before_one_that_has_some() {
        let room = Room::new(2);
        let mut held = room.take(5);
        assert_eq!(held.len(), 2);
        assert!(room.is_full());
        let with_some = room.wait(false);
        assert!(!room.is_wanted(), "it has permits of its own");
        let gives_up = room.wait(true);
        let mut without = room.wait(true);
        drop(gives_up);
        assert!(room.is_wanted());
        drop(with_some);
        assert!(futures::poll!(&mut without).is_pending());
        drop(held.pop());
        assert!(room.take(1).is_empty(), "the permit is for the lane in line");
        assert!(without.await.is_some());
        assert!(!room.is_wanted());
        assert!(!room.is_full());
    }
}
