//! Writes prepared components to the cache in the background. A plugin is published before it is cached; a worker that is
//! killed in between only has to compile it again at its next start.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use wasmtime::component::Component;

use super::background;
use super::cache::PreparedCache;

/// Components that may wait to be written, each held in memory. Compiling takes longer than writing, so they pile up
/// only on a very slow disk; those that do not fit are compiled again at the next start.
const MAX_PENDING: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct CacheWriter {
    pending: TaskTracker,
    /// One write at a time: each holds a serialized component in memory.
    lock: Arc<Mutex<()>>,
}

impl CacheWriter {
    pub(super) fn new() -> Self {
        let pending = TaskTracker::new();
        // `wait` ends only on a closed tracker. A closed tracker still takes new tasks.
        pending.close();
        Self { pending, lock: Arc::default() }
    }

    /// Stores a component under a key, later.
    pub(super) fn store(&self, cache: PreparedCache, key: String, component: Component) {
        if self.pending.len() >= MAX_PENDING {
            tracing::warn!("prepared plugin not stored: the disk is too slow");
            return;
        }
        let lock = Arc::clone(&self.lock);
        self.pending.spawn(async move {
            let _guard = lock.lock().await;
            if let Err(error) = background::run(move || Ok(cache.put(&key, &component)?)).await {
                tracing::warn!(error = %error, "prepared plugin not stored");
            }
        });
    }

    /// Ends when nothing is left to write.
    pub(super) async fn all_written(self) {
        self.pending.wait().await;
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
        let writer = CacheWriter::new();
        // As long as another one is written.
        let guard = writer.lock.lock().await;
        for number in 0..=MAX_PENDING {
            writer.store(cache.clone(), number.to_string(), component.clone());
        }
        tokio::task::yield_now().await;
        assert!(cache.get(&engine, "0").is_none());
        drop(guard);
        writer.all_written().await;
        let kept = |number: usize| cache.get(&engine, &number.to_string()).is_some();
        assert!((0..MAX_PENDING).all(kept));
        assert!(!kept(MAX_PENDING), "more than may wait");
    }
}
