//! Waits until a replica has a write, and says when to write again.
//!
//! A master acknowledges a write before a replica has it. If the master and the writer die at that moment, the write is
//! lost. So a submit, and the record of where an answer goes, wait for a replica. If none has the write, it is written
//! again, because the server may be an old master that froze and does not know yet that it was replaced.
//!
//! If replicas stay silent, they are dead or there are none. Then writes no longer wait, and only
//! [`crate::client::resubmit_buffer`] protects them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::time::Instant;

use crate::redis::connection::Connection;
use crate::task::Lane;

/// Longest wait for a replica.
const WAIT_TIMEOUT: Duration = Duration::from_millis(100);
/// Cool-down after a replica missed a write: no write waits meanwhile.
const COOL_DOWN: Duration = Duration::from_secs(2);
/// After so long without a replica nothing is written again: a failover would be over by now.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// Pauses before a write that no replica has is written again.
const REWRITE_PAUSES: [Duration; 3] = [Duration::from_millis(300); 3];

/// For each lane, how long its replicas have been silent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replicas {
    lanes: Arc<Mutex<HashMap<Lane, Arc<tokio::sync::Mutex<Silence>>>>>,
}

#[derive(Debug, Default)]
struct Silence {
    since: Option<Instant>,
    cool_down_until: Option<Instant>,
}

impl Replicas {
    fn of(&self, lane: &Lane) -> Arc<tokio::sync::Mutex<Silence>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(lane.clone()).or_default())
    }
}

/// A write to one lane that waits for a replica. Created before the write.
pub(crate) struct ReplicaWait<'a> {
    connection: &'a Connection,
    lane: &'a Lane,
    /// A key of the lane.
    key: String,
    silence: Arc<tokio::sync::Mutex<Silence>>,
    /// The server that is written to; none for a single server.
    server: Option<String>,
    pauses: std::slice::Iter<'static, Duration>,
}

impl<'a> ReplicaWait<'a> {
    /// Prepares for a write to `lane`; `key` is one of its keys.
    pub(crate) fn begin(
        connection: &'a Connection,
        replicas: &Replicas,
        lane: &'a Lane,
        key: String,
    ) -> Self {
        let server = connection.server_of(&key);
        let pauses = REWRITE_PAUSES.iter();
        Self { connection, lane, key, silence: replicas.of(lane), server, pauses }
    }

    /// Waits until the write is safe. False after a pause means: write again, then call this again.
    ///
    /// # Errors
    ///
    /// The server that was written to does not answer any more, or was replaced. The write may be lost.
    pub(crate) async fn is_safe(&mut self) -> RedisResult<bool> {
        if self.wait_once().await? {
            return Ok(true);
        }
        let Some(pause) = self.pauses.next() else { return Ok(true) };
        tokio::time::sleep(*pause).await;
        self.server = self.connection.server_of(&self.key);
        Ok(false)
    }

    /// Waits for a replica once. False when none has the write although one may exist.
    ///
    /// # Errors
    ///
    /// As [`ReplicaWait::is_safe`].
    pub(crate) async fn wait_once(&self) -> RedisResult<bool> {
        let Self { connection, lane, key, silence, server, .. } = self;
        let Some(server) = server else { return Ok(true) };
        // One `WAIT` at a time: after one that failed, the callers behind it are in its cool-down.
        let mut silence = silence.lock().await;
        if silence.cool_down_until.is_some_and(|until| Instant::now() < until) {
            return Ok(silence.is_permanent());
        }
        let replicated = connection.replicated(key, WAIT_TIMEOUT).await?;
        if connection.server_of(key).as_ref() != Some(server) {
            return Err(RedisError::from(std::io::Error::other("another server has the lane now")));
        }
        if replicated {
            *silence = Silence::default();
            return Ok(true);
        }
        tracing::debug!(lane = %lane, "no replica has the write yet");
        silence.since.get_or_insert_with(Instant::now);
        silence.cool_down_until = Some(Instant::now() + COOL_DOWN);
        Ok(silence.is_permanent())
    }
}

impl Silence {
    fn is_permanent(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() > GIVE_UP_AFTER)
    }
}
