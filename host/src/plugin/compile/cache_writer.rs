//! Writes prepared components to disk while nobody waits: a version is in force before it is kept. A worker that is
//! killed in between compiles once more at its next start, and that is all it costs.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use wasmtime::component::Component;

use super::aside;
use super::cache::PreparedCache;

/// Components that wait for their turn, each held in memory meanwhile. Compiling one takes longer than writing it, so
/// they only pile up on a disk that hardly writes; what is more is compiled at the next start.
const WAIT_AT_MOST: usize = 16;

/// What is being written.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    underway: TaskTracker,
    /// One at a time: each is a copy of a whole component in memory.
    turn: Arc<Mutex<()>>,
}

impl Keeper {
    pub(crate) fn new() -> Self {
        let underway = TaskTracker::new();
        // Who waits for all waits until there is none; more may come all the same.
        underway.close();
        Self { underway, turn: Arc::default() }
    }

    /// Stores a component under a key, some time soon.
    pub(crate) fn keep(&self, cache: PreparedCache, key: String, component: Component) {
        if WAIT_AT_MOST <= self.underway.len() {
            tracing::warn!(
                "a prepared plugin is not kept for the next start: the disk is too slow"
            );
            return;
        }
        let turn = Arc::clone(&self.turn);
        self.underway.spawn(async move {
            let _turn = turn.lock().await;
            if let Err(error) = aside(move || Ok(cache.put(&key, &component)?)).await {
                tracing::warn!(error = %error, "a prepared plugin was not kept for the next start");
            }
        });
    }

    /// Waits until nothing is left to write.
    pub(crate) async fn all_kept(self) {
        self.underway.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::*;

    #[tokio::test]
    async fn who_keeps_does_not_wait_and_who_waits_finds_it_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = PreparedCache::open(&folder.path().join("cache")).unwrap();
        let engine = Engine::default();
        let component = Component::from_binary(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        let keeper = Keeper::new();
        // As long as another one is written.
        let turn = keeper.turn.lock().await;
        for number in 0..=WAIT_AT_MOST {
            keeper.keep(cache.clone(), number.to_string(), component.clone());
        }
        tokio::task::yield_now().await;
        assert!(cache.get(&engine, "0").is_none());
        drop(turn);
        keeper.all_kept().await;
        let kept = |number: usize| cache.get(&engine, &number.to_string()).is_some();
        assert!((0..WAIT_AT_MOST).all(kept));
        assert!(!kept(WAIT_AT_MOST), "more than may wait");
    }
}
