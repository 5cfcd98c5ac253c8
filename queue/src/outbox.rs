//! The outbox: finished tasks whose answers have to be sent, and whether they were sent.
//!
//! `finish.lua` appends to the outbox in the same step that stores the result. Coordinators read it as one consumer
//! group. If one dies, another takes over the answers that it had read and not acknowledged.

mod delivery_state;
mod reply;
mod unsent;

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::outbox::reply::{GROUP, read_entry};
use crate::redis::blocking::BlockingConnections;
use crate::redis::time::{REDIS_RETRY_DELAY, millis};
use crate::task::Lane;

pub use delivery_state::{Delivered, DeliveryState};
pub use reply::Reply;

/// The id before the first entry of a stream.
const STREAM_START: &str = "0-0";
/// Longest wait in one read. Short, because a connection counts as silent only after the command's own wait.
const MAX_BLOCK: Duration = Duration::from_secs(1);
/// Entries in one read of pending entries.
const PAGE_SIZE: usize = 256;

/// The outbox, as one consumer of the group reads it.
#[derive(Debug)]
pub struct Outbox {
    queue: TaskQueue,
    connections: BlockingConnections<Option<StreamReadReply>>,
    consumer: String,
    lanes: Vec<Lane>,
    /// For each lane, where the next takeover continues.
    takeover_cursors: HashMap<Lane, String>,
    /// Whether Redis may have replied to a read whose reply was lost with its connection.
    reply_lost: bool,
}

impl Outbox {
    /// Reads as `consumer`, a name that no other running coordinator uses.
    pub fn new(queue: &TaskQueue, consumer: &str) -> Self {
        Self {
            queue: queue.clone(),
            connections: BlockingConnections::new(&queue.server, MAX_BLOCK),
            consumer: consumer.to_owned(),
            lanes: Vec::new(),
            takeover_cursors: HashMap::new(),
            reply_lost: false,
        }
    }

    /// Reads the list of lanes, and creates the consumer group of new ones.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn refresh_lanes(&mut self) -> Result<(), RedisError> {
        let lanes = self.queue.lanes().await?;
        self.lanes.retain(|lane| lanes.contains(lane));
        let new: Vec<Lane> = lanes.into_iter().filter(|lane| !self.lanes.contains(lane)).collect();
        // In parallel: in a Cluster one lane's node may be down while others are up.
        let created = join_all(new.iter().map(|lane| self.create_group(lane))).await;
        let mut failure = None;
        for (lane, created) in new.into_iter().zip(created) {
            match created {
                Ok(()) => self.lanes.push(lane),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn create_group(&self, lane: &Lane) -> Result<(), RedisError> {
        let created: redis::RedisResult<()> = self
            .queue
            .scripts
            .group
            .key(self.queue.keys.replies(lane))
            .arg(GROUP)
            .run(&mut self.queue.connection.clone())
            .await;
        match created {
            Err(error) if error.code() != Some("BUSYGROUP") => {
                Err(RedisError { action: "create the outbox's consumer group", source: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads up to `max` new answers, waiting up to `wait` for the first. After a connection error it returns all answers that
    /// this consumer has read and not acknowledged, also those that the caller has already.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: answers that were read and dropped are delivered after [`Outbox::take_over`] returns them.
    pub async fn read(&mut self, max: usize, wait: Duration) -> Result<Vec<Reply>, RedisError> {
        if self.lanes.is_empty() {
            tokio::time::sleep(wait.min(Duration::from_millis(200))).await;
            return Ok(Vec::new());
        }
        if self.reply_lost {
            match self.read_pending().await {
                Ok(replies) => {
                    self.reply_lost = false;
                    if !replies.is_empty() {
                        return Ok(replies);
                    }
                }
                Err(error) => {
                    tokio::time::sleep(REDIS_RETRY_DELAY).await;
                    return Err(error);
                }
            }
        }
        let queue = &self.queue;
        let consumer = &self.consumer;
        self.connections.send(&self.lanes, |group| {
            let mut command = redis::cmd("XREADGROUP");
            command
                .arg("GROUP")
                .arg(GROUP)
                .arg(consumer)
                .arg("COUNT")
                .arg(max)
                .arg("BLOCK")
                .arg(millis(wait.clamp(Duration::from_millis(1), MAX_BLOCK)))
                .arg("STREAMS");
            for lane in group {
                command.arg(queue.keys.replies(lane));
            }
            for _ in group {
                command.arg(">");
            }
            command
        });
        let mut replies = Vec::new();
        let mut failure = None;
        let mut reply = Some(self.connections.next_reply().await);
        // In a Cluster several lanes may have replied.
        while let Some(read) = reply {
            match read {
                Ok(read) => self.take(read, &mut replies).await,
                Err(error) if error.code() == Some("NOGROUP") => {
                    // Redis lost its data, or somebody deleted the stream: create the groups again.
                    self.lanes.clear();
                    failure = self.refresh_lanes().await.err();
                }
                Err(source) => {
                    self.reply_lost |= source.is_io_error();
                    failure = Some(RedisError { action: "read the outbox", source });
                }
            }
            reply = self.connections.try_next_reply();
        }
        match failure {
            // Answers that were read must be delivered. The next read fails again.
            Some(error) if replies.is_empty() => Err(error),
            _ => Ok(replies),
        }
    }

    /// All entries that this consumer has read and not acknowledged.
    async fn read_pending(&self) -> Result<Vec<Reply>, RedisError> {
        // In parallel: in a Cluster one lane's node may be down while others are up.
        let pages = join_all(self.lanes.iter().map(|lane| self.pending_entries(lane))).await;
        let mut replies = Vec::new();
        for (lane, entries) in self.lanes.iter().zip(pages) {
            self.collect(lane, entries?, &mut replies).await;
        }
        Ok(replies)
    }

    async fn pending_entries(&self, lane: &Lane) -> Result<Vec<StreamId>, RedisError> {
        let mut found: Vec<StreamId> = Vec::new();
        loop {
            let after = found.last().map_or(STREAM_START, |last| &last.id);
            let read: redis::RedisResult<Option<StreamReadReply>> = redis::cmd("XREADGROUP")
                .arg("GROUP")
                .arg(GROUP)
                .arg(&self.consumer)
                .arg("COUNT")
                .arg(PAGE_SIZE)
                .arg("STREAMS")
                .arg(self.queue.keys.replies(lane))
                .arg(after)
                .query_async(&mut self.queue.connection.clone())
                .await;
            let read = match read {
                // The next read creates the group again.
                Err(error) if error.code() == Some("NOGROUP") => return Ok(found),
                read => read.map_err(RedisError::during("read pending answers"))?,
            };
            let page: Vec<StreamId> = read
                .map(|read| read.keys.into_iter().flat_map(|stream| stream.ids).collect())
                .unwrap_or_default();
            if page.is_empty() {
                return Ok(found);
            }
            found.extend(page);
        }
    }

    async fn take(&self, read: Option<StreamReadReply>, replies: &mut Vec<Reply>) {
        for stream in read.map(|read| read.keys).unwrap_or_default() {
            let keys = &self.queue.keys;
            let lane = self.lanes.iter().find(|lane| keys.replies(lane) == stream.key);
            if let Some(lane) = lane {
                self.collect(lane, stream.ids, replies).await;
            }
        }
    }

    /// Renews this consumer's claim on answers that it is still working on, so that no other coordinator takes them over.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn hold(&self, held: &[(Lane, String)]) -> Result<(), RedisError> {
        let mut by_lane: HashMap<&Lane, Vec<&str>> = HashMap::new();
        for (lane, entry) in held {
            by_lane.entry(lane).or_default().push(entry);
        }
        let holding = by_lane.into_iter().map(|(lane, entries)| async move {
            let _ids: Vec<String> = redis::cmd("XCLAIM")
                .arg(self.queue.keys.replies(lane))
                .arg(GROUP)
                .arg(&self.consumer)
                .arg(0)
                .arg(entries)
                .arg("JUSTID")
                .query_async(&mut self.queue.connection.clone())
                .await
                .map_err(RedisError::during("hold answers"))?;
            Ok(())
        });
        join_all(holding).await.into_iter().collect()
    }

    /// Takes over answers that another coordinator read at least `min_idle` ago and has not acknowledged.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn take_over(
        &mut self,
        max: usize,
        min_idle: Duration,
    ) -> Result<Vec<Reply>, RedisError> {
        // In parallel: in a Cluster one lane's node may be down while others are up.
        let from = |lane| self.takeover_cursors.get(lane).map_or(STREAM_START, String::as_str);
        let pages = self.lanes.iter().map(|lane| self.claim_idle(lane, from(lane), max, min_idle));
        let claims = join_all(pages).await;
        let mut replies = Vec::new();
        let mut failure = None;
        for (lane, claimed) in self.lanes.clone().iter().zip(claims) {
            match claimed {
                Ok((entries, next)) => {
                    self.takeover_cursors.insert(lane.clone(), next);
                    self.collect(lane, entries, &mut replies).await;
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if replies.is_empty() => Err(error),
            _ => Ok(replies),
        }
    }

    /// Returns the entries, and where the next takeover continues.
    async fn claim_idle(
        &self,
        lane: &Lane,
        from: &str,
        max: usize,
        min_idle: Duration,
    ) -> Result<(Vec<StreamId>, String), RedisError> {
        let claimed: redis::RedisResult<StreamAutoClaimReply> = redis::cmd("XAUTOCLAIM")
            .arg(self.queue.keys.replies(lane))
            .arg(GROUP)
            .arg(&self.consumer)
            .arg(millis(min_idle))
            .arg(from)
            .arg("COUNT")
            .arg(max)
            .query_async(&mut self.queue.connection.clone())
            .await;
        match claimed {
            Ok(claimed) => Ok((claimed.claimed, claimed.next_stream_id)),
            Err(error) if error.code() == Some("NOGROUP") => {
                self.create_group(lane).await.map(|()| (Vec::new(), STREAM_START.to_owned()))
            }
            Err(source) => Err(RedisError { action: "take over answers", source }),
        }
    }

    /// Reads stream entries. One that cannot be read is dropped, because it could never be sent.
    async fn collect(&self, lane: &Lane, entries: Vec<StreamId>, replies: &mut Vec<Reply>) {
        for entry in entries {
            match read_entry(lane, &entry) {
                Some(reply) => replies.push(reply),
                None => {
                    tracing::warn!(lane = %lane, entry = entry.id, "unreadable outbox entry dropped");
                    if let Err(error) = self.remove(lane, &entry.id).await {
                        // It will be taken over and dropped later.
                        tracing::debug!(error = %error.source, "an unreadable outbox entry was not removed");
                    }
                }
            }
        }
    }

    async fn remove(&self, lane: &Lane, entry: &str) -> Result<(), RedisError> {
        let stream = self.queue.keys.replies(lane);
        let () = redis::pipe()
            .xack(&stream, GROUP, &[entry])
            .ignore()
            .xdel(&stream, &[entry])
            .ignore()
            .hincr(self.queue.keys.meta(lane), "undeliverable", 1)
            .ignore()
            .query_async(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("drop an outbox entry"))?;
        Ok(())
    }
}
