//! What was written counts when a replica has it.
//!
//! A master acknowledges a write before its replica has it. When both it and whoever wrote die in that moment nobody is
//! left who knows. So a submit, and the note of where an answer goes, wait for a replica and are written again when none
//! has them: the first server may have been one that froze, was replaced, and does not know it yet. Where replicas stay
//! silent, they are dead or there are none; then nobody waits for them, and [`crate::client::recent`] is what is left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::time::Instant;

use crate::redis::connection::Connection;
use crate::task::Lane;

/// How long a replica is waited for.
const HAS_IT_WITHIN: Duration = Duration::from_millis(100);
/// For how long nobody waits after one that did not have it.
const REST: Duration = Duration::from_secs(2);
/// After so long without a replica nothing is written again: what could replace the master would have by now.
const DANGER: Duration = Duration::from_secs(30);
/// What no replica has is written again after these.
const PAUSES: [Duration; 3] = [Duration::from_millis(300); 3];

/// How the replicas of lanes behave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replicas {
    lanes: Arc<Mutex<HashMap<Lane, Arc<tokio::sync::Mutex<Silence>>>>>,
}

#[derive(Debug, Default)]
struct Silence {
    since: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Replicas {
    fn of(&self, lane: &Lane) -> Arc<tokio::sync::Mutex<Silence>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(lane.clone()).or_default())
    }
}

/// A write to a lane that is to be kept. Made before it is written.
pub(crate) struct Keeping<'a> {
    connection: &'a Connection,
    lane: &'a Lane,
    /// A key of the lane.
    key: String,
    silence: Arc<tokio::sync::Mutex<Silence>>,
    /// The server that is written to.
    server: Option<String>,
    pauses: std::slice::Iter<'static, Duration>,
}

impl<'a> Keeping<'a> {
    /// Begins a write to `lane`, which has the key `key`.
    pub(crate) fn begin(
        connection: &'a Connection,
        replicas: &Replicas,
        lane: &'a Lane,
        key: String,
    ) -> Self {
        let server = connection.server_of(&key);
        Self { connection, lane, key, silence: replicas.of(lane), server, pauses: PAUSES.iter() }
    }

    /// Whether what was written is kept. When not, it is to be written again now.
    ///
    /// # Errors
    ///
    /// When the server that was written to does not answer any more, or is another one: it is unknown what became of it.
    pub(crate) async fn kept(&mut self) -> RedisResult<bool> {
        if self.replica_has_it().await? {
            return Ok(true);
        }
        let Some(pause) = self.pauses.next() else { return Ok(true) };
        tokio::time::sleep(*pause).await;
        self.server = self.connection.server_of(&self.key);
        Ok(false)
    }

    /// Waits for a replica once. False when none has it and one might be expected to.
    ///
    /// # Errors
    ///
    /// As [`Keeping::kept`].
    pub(crate) async fn replica_has_it(&self) -> RedisResult<bool> {
        let Self { connection, lane, key, silence, server, .. } = self;
        let Some(server) = server else { return Ok(true) };
        // One at a time: those that wait behind one that found no replica do not ask again.
        let mut silence = silence.lock().await;
        if silence.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(silence.is_old());
        }
        let replicated = connection.replicated(key, HAS_IT_WITHIN).await?;
        if connection.server_of(key).as_ref() != Some(server) {
            return Err(RedisError::from(std::io::Error::other("another server has the lane now")));
        }
        if replicated {
            *silence = Silence::default();
            return Ok(true);
        }
        tracing::debug!(lane = %lane, "no replica has it yet");
        silence.since.get_or_insert_with(Instant::now);
        silence.rests_until = Some(Instant::now() + REST);
        Ok(silence.is_old())
    }
}

impl Silence {
    fn is_old(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() > DANGER)
    }
}
