//! One of the streams of the history, in pages.

use redis::Value;

use crate::error::RedisError;
use crate::redis::connection::Connection;

/// Entries in one page: Redis reads one in 0.15 ms and does nothing else meanwhile.
pub(super) const PAGE: usize = 250;
/// The end of a stream, in place of an entry's id.
pub(super) const NEWEST: &str = "+";
/// Its beginning.
pub(super) const OLDEST: &str = "-";

/// One of something for each side that a stream is read from.
#[derive(Debug, Clone)]
pub(crate) struct BothSides<T> {
    pub(crate) newest: T,
    pub(crate) oldest: T,
}

/// A stream, for reading.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) connection: Connection,
    pub(super) key: String,
}

impl Stream {
    /// Up to [`PAGE`] entries between two bounds, beginning with the newest.
    pub(super) async fn newest_first(
        &self,
        newest: &str,
        oldest: &str,
    ) -> Result<Vec<StoredEntry>, RedisError> {
        self.read("XREVRANGE", newest, oldest).await
    }

    /// As [`Stream::newest_first`], beginning with the oldest.
    pub(super) async fn oldest_first(
        &self,
        newest: &str,
        oldest: &str,
    ) -> Result<Vec<StoredEntry>, RedisError> {
        self.read("XRANGE", oldest, newest).await
    }

    async fn read(
        &self,
        command: &str,
        first: &str,
        last: &str,
    ) -> Result<Vec<StoredEntry>, RedisError> {
        let found: Vec<Value> = redis::cmd(command)
            .arg(&self.key)
            .arg(first)
            .arg(last)
            .arg("COUNT")
            .arg(PAGE)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the history"))?;
        Ok(found.into_iter().filter_map(StoredEntry::read).collect())
    }
}

/// An entry of a stream.
#[derive(Debug)]
pub(super) struct StoredEntry {
    pub(super) id: String,
    pub(super) text: String,
}

impl StoredEntry {
    /// Takes the reply apart without a copy: a search reads a hundred thousand of them.
    fn read(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()?
        else {
            return None;
        };
        let Some(Value::BulkString(text)) = fields.into_iter().nth(1) else { return None };
        // What nobody of this version wrote has no text, but it counts, so that the next page begins after it.
        let text = String::from_utf8(text).unwrap_or_default();
        Some(Self { id: String::from_utf8(id).ok()?, text })
    }

    /// As a bound that leaves it out.
    pub(super) fn excluded(&self) -> String {
        format!("({}", self.id)
    }

    /// Its place in the stream.
    pub(super) fn place(&self) -> Place {
        let (ms, number) = self.id.split_once('-').unwrap_or((&self.id, "0"));
        (ms.parse().unwrap_or(0), number.parse().unwrap_or(0))
    }
}

/// The two numbers of an entry's id. They grow along the stream.
pub(super) type Place = (u64, u64);
