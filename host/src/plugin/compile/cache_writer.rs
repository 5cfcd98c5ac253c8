//! Writes compiled components to the cache in the background. A plugin is published before it is cached; a worker that is
//! killed in between only has to compile it again at its next start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio_util::task::TaskTracker;

use super::background;
use super::cache::PreparedCache;
use super::turn::Turn;

/// Machine code that may wait to be written. Compiling takes longer than writing, so it piles up only on a very slow
/// disk; what does not fit is compiled again at the next start. One component may be larger than this.
const MAX_UNWRITTEN_BYTES: usize = 256 << 20;

#[derive(Debug, Clone)]
pub(super) struct CacheWriter {
    writes: TaskTracker,
    /// What is not on disk yet, by key.
    unwritten: Arc<Mutex<HashMap<String, Bytes>>>,
    /// One write at a time.
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl CacheWriter {
    pub(super) fn new() -> Self {
        let writes = TaskTracker::new();
        // `wait` ends only on a closed tracker. A closed tracker still takes new tasks.
        writes.close();
        Self { writes, unwritten: Arc::default(), lock: Arc::default() }
    }

    /// Stores machine code under a key, later: writing takes as long as a swap may. `turn` is given back afterwards.
    pub(super) fn store(&self, cache: PreparedCache, key: String, code: Bytes, turn: Option<Turn>) {
        if !self.add(&key, &code) {
            tracing::warn!("prepared plugin not stored: the disk is too slow");
            return;
        }
        let lock = Arc::clone(&self.lock);
        let unwritten = Arc::clone(&self.unwritten);
        self.writes.spawn(async move {
            let _guard = lock.lock().await;
            let file = key.clone();
            if let Err(error) = background::run(move || Ok(cache.put(&file, &code)?)).await {
                tracing::warn!(error = %error, "prepared plugin not stored");
            }
            unwritten.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            drop(turn);
        });
    }

    /// Adds to what is not written, if there is room.
    fn add(&self, key: &str, code: &Bytes) -> bool {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = unwritten.values().map(Bytes::len).sum();
        if !unwritten.is_empty() && bytes.saturating_add(code.len()) > MAX_UNWRITTEN_BYTES {
            return false;
        }
        unwritten.insert(key.to_owned(), code.clone());
        true
    }

    /// The machine code that is to be stored under a key.
    pub(super) fn unwritten(&self, key: &str) -> Option<Bytes> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Ends when nothing is left to write.
    pub(super) async fn all_written(self) {
        self.writes.wait().await;
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
        let code = Bytes::from(engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap());
        let large = Bytes::from(vec![0; MAX_UNWRITTEN_BYTES + 1]);
        let writer = CacheWriter::new();
        // As long as another one is written.
        let guard = writer.lock.lock().await;
        writer.store(cache.clone(), "first".to_owned(), code.clone(), None);
        writer.store(cache.clone(), "second".to_owned(), code.clone(), None);
        writer.store(cache.clone(), "large".to_owned(), large, None);
        tokio::task::yield_now().await;
        assert!(cache.get(&engine, "first").is_none());
        assert_eq!(writer.unwritten("first"), Some(code), "it is found before it is written");
        assert_eq!(writer.unwritten("large"), None, "more than may wait");
        drop(guard);
        writer.clone().all_written().await;
        assert!(cache.get(&engine, "first").is_some() && cache.get(&engine, "second").is_some());
        assert_eq!(writer.unwritten("first"), None);
    }
}
