//! `freefans:plugin/cache`: entries in Redis under the plugin's own name.

use crate::bindings::v1::cache::{self, CacheError};
use crate::sandbox::Sandbox;
use crate::sandbox::limits::Limit;

const MAX_KEY_BYTES: usize = 256;
/// A day: what should live longer is no cache.
const MAX_TTL_SECONDS: u32 = 86_400;

/// STRING: an entry of a plugin's cache.
fn cache_key(keys: &queue::Keys, plugin: &str, key: &str) -> String {
    keys.scoped(format_args!("cache:{plugin}:{key}"))
}

impl Sandbox {
    /// The entry's key in Redis and a connection, or why there is none.
    fn cache_entry(
        &mut self,
        key: &str,
        bytes: usize,
    ) -> Result<(String, queue::Connection), CacheError> {
        if !self.around.cache {
            return Err(CacheError::NotGranted);
        }
        if MAX_KEY_BYTES < key.len() {
            return Err(CacheError::TooLarge(MAX_KEY_BYTES as u64));
        }
        let (calls, room) = self.cache_left;
        let (Some(calls), Some(room)) = (calls.checked_sub(1), room.checked_sub(bytes)) else {
            self.breaches.note(Limit::Cache);
            return Err(CacheError::Unavailable);
        };
        self.cache_left = (calls, room);
        let queue = self.around.queue.as_ref().ok_or(CacheError::Unavailable)?;
        Ok((cache_key(queue.keys(), &self.around.name, key), queue.connection()))
    }
}

impl cache::Host for Sandbox {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, CacheError> {
        let (key, mut connection) = self.cache_entry(&key, 0)?;
        let read: redis::RedisResult<Option<Vec<u8>>> =
            redis::cmd("GET").arg(key).query_async(&mut connection).await;
        read.map_err(|error| unavailable(&error))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_seconds: u32,
    ) -> Result<(), CacheError> {
        let limit = self.around.limits.cache_entry_bytes;
        if limit < value.len() {
            self.breaches.note(Limit::Cache);
            return Err(CacheError::TooLarge(limit as u64));
        }
        let (key, mut connection) = self.cache_entry(&key, value.len())?;
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
    tracing::debug!(error = %error, "plugin cache not reached");
    CacheError::Unavailable
}
