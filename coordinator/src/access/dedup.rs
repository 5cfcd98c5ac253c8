//! Recognises repeated actions, for all coordinators together.

use std::time::Duration;

use queue::{TaskQueue, millis};

use crate::keys::CoordinatorKeys;

/// Remembers in Redis who was first. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Dedup {
    queue: TaskQueue,
}

impl Dedup {
    /// Uses the Redis of `queue`.
    pub(crate) fn new(queue: TaskQueue) -> Self {
        Self { queue }
    }

    /// Whether `origin` is the first to do `name` within `window`. The same update that comes again is still the first:
    /// its coordinator may have died before it did anything.
    pub(crate) async fn is_first(&self, name: &str, origin: &str, window: Duration) -> bool {
        let key = self.queue.keys().gate(name);
        let value = (origin, "NX", "GET", "PX", millis(window));
        let first: redis::RedisResult<Option<String>> =
            self.queue.write_even_when_full("SET", key, value).await;
        // While Redis is away: better twice than not at all.
        first.map_or(true, |first| first.is_none_or(|first| first == origin))
    }
}
