//! `freefans:plugin/cache`: entries in Redis under the plugin's own name.

use crate::bindings::v1::cache::{self, CacheError};
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Limit;

const MAX_KEY_BYTES: usize = 256;
/// A day. Longer-lived data does not belong in a cache.
const MAX_TTL_SECONDS: u32 = 86_400;

/// STRING: an entry of a plugin's cache.
fn cache_key(keys: &queue::Keys, plugin: &str, key: &str) -> String {
    keys.scoped(format_args!("cache:{plugin}:{key}"))
}

impl Sandbox {
    /// Counts a call against the task's limits.
    fn admit_cache_call(&mut self, key: &str, bytes: usize) -> Result<(), CacheError> {
        if !self.env.cache {
            return Err(CacheError::NotGranted);
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(CacheError::TooLarge(MAX_KEY_BYTES as u64));
        }
        let calls_left = self.cache_calls_left.checked_sub(1);
        let bytes_left = self.cache_bytes_left.checked_sub(bytes);
        let (Some(calls_left), Some(bytes_left)) = (calls_left, bytes_left) else {
            self.breaches.note(Limit::Cache);
            return Err(CacheError::Unavailable);
        };
        self.cache_calls_left = calls_left;
        self.cache_bytes_left = bytes_left;
        Ok(())
    }

    /// The entry's key in Redis and a connection.
    fn cache_entry(&self, key: &str) -> Result<(String, queue::Connection), CacheError> {
        let queue = self.env.queue.as_ref().ok_or(CacheError::Unavailable)?;
        Ok((cache_key(queue.keys(), &self.env.name, key), queue.connection()))
    }
}

impl cache::Host for Sandbox {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, CacheError> {
        self.admit_cache_call(&key, 0)?;
        if let Some(world) = self.world.as_ref().filter(|world| world.has_cache()) {
            return Ok(world.cached(&key));
        }
        let (entry, mut connection) = self.cache_entry(&key)?;
        let read: redis::RedisResult<Option<Vec<u8>>> =
            redis::cmd("GET").arg(entry).query_async(&mut connection).await;
        let read = read.map_err(|error| unavailable(&error))?;
        if let (Some(world), Some(value)) = (&self.world, &read) {
            world.note_read(&key, value);
        }
        Ok(read)
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_seconds: u32,
    ) -> Result<(), CacheError> {
        let limit = self.env.limits.cache_entry_bytes;
        if value.len() > limit {
            self.breaches.note(Limit::Cache);
            return Err(CacheError::TooLarge(limit as u64));
        }
        self.admit_cache_call(&key, value.len())?;
        if let Some(world) = &self.world {
            if world.has_cache() {
                world.cache(key, (ttl_seconds > 0).then_some(value));
                return Ok(());
            }
            world.note_change(&key);
        }
        let (key, mut connection) = self.cache_entry(&key)?;
        let written: redis::RedisResult<()> = match ttl_seconds {
            0 => redis::cmd("DEL").arg(key).query_async(&mut connection).await,
            seconds => {
                redis::cmd("SET")
                    .arg(key)
                    .arg(value)
                    .arg("EX")
                    .arg(seconds.min(MAX_TTL_SECONDS))
                    .query_async(&mut connection)
                    .await
            }
        };
        written.map_err(|error| unavailable(&error))
    }
}

fn unavailable(error: &redis::RedisError) -> CacheError {
    tracing::debug!(error = %error, "plugin cache not available");
    CacheError::Unavailable
}
