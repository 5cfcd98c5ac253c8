//! The outbox: finished tasks whose answers have to be sent, and whether they were sent.
//!
//! `finish.lua` appends to the outbox in the same step that stores the result. Coordinators read it as one consumer
//! group; what a dead one had read and not acknowledged is taken over by another.

mod delivery_state;
mod reply;

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::outbox::reply::{GROUP, read_entry};
use crate::redis::blocking::Waits;
use crate::redis::time::{RETRY_PAUSE, millis};
use crate::task::Lane;

pub use delivery_state::{Delivered, DeliveryState};
pub use reply::Reply;

/// The beginning of a stream.
const FROM_THE_START: &str = "0-0";
/// Longest wait in one read. Short, because a connection cannot be told to be silent before its command's wait is over.
const LONGEST_READ: Duration = Duration::from_secs(1);
/// Answers looked through at once for those that were read and never came here.
const LOOKED_THROUGH: usize = 256;

/// One coordinator's view of the outbox.
#[derive(Debug)]
pub struct Outbox {
    queue: TaskQueue,
    waits: Waits<Option<StreamReadReply>>,
    consumer: String,
    lanes: Vec<Lane>,
    /// Up to where each lane was looked through for what others left behind.
    looked_at: HashMap<Lane, String>,
    /// Whether a read may have been answered on a connection that did not bring the answer.
    lost_a_read: bool,
}

impl Outbox {
    /// The outbox, read under a name that no other living coordinator uses.
    pub fn new(queue: &TaskQueue, consumer: &str) -> Self {
        Self {
            queue: queue.clone(),
            waits: Waits::new(&queue.server, LONGEST_READ),
            consumer: consumer.to_owned(),
            lanes: Vec::new(),
            looked_at: HashMap::new(),
            lost_a_read: false,
        }
    }

    /// Looks which lanes there are and makes sure that each has its consumer group.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn refresh_lanes(&mut self) -> Result<(), RedisError> {
        let lanes = self.queue.lanes().await?;
        self.lanes.retain(|known| lanes.contains(known));
        let new: Vec<Lane> = lanes.into_iter().filter(|lane| !self.lanes.contains(lane)).collect();
        // Side by side: in a Cluster one lane's node may be away while the others' are there.
        let made = join_all(new.iter().map(|lane| self.create_group(lane))).await;
        let mut trouble = None;
        for (lane, made) in new.into_iter().zip(made) {
            match made {
                Ok(()) => self.lanes.push(lane),
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(()), Err)
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

    /// Reads up to `max` new answers, waiting up to `wait` for the first. After trouble with a connection it gives all
    /// that were ever read under this name and are not acknowledged, also those that are in hand.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: answers that were read and dropped are sent when [`Outbox::take_over`] finds them.
    pub async fn read(&mut self, max: usize, wait: Duration) -> Result<Vec<Reply>, RedisError> {
        if self.lanes.is_empty() {
            tokio::time::sleep(wait.min(Duration::from_millis(200))).await;
            return Ok(Vec::new());
        }
        if self.lost_a_read {
            match self.read_again().await {
                Ok(replies) => {
                    self.lost_a_read = false;
                    if !replies.is_empty() {
                        return Ok(replies);
                    }
                }
                Err(error) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    return Err(error);
                }
            }
        }
        let queue = &self.queue;
        let consumer = &self.consumer;
        self.waits.ask(&self.lanes, |together| {
            let mut command = redis::cmd("XREADGROUP");
            command
                .arg("GROUP")
                .arg(GROUP)
                .arg(consumer)
                .arg("COUNT")
                .arg(max)
                .arg("BLOCK")
                .arg(millis(wait.clamp(Duration::from_millis(1), LONGEST_READ)))
                .arg("STREAMS");
            for lane in together {
                command.arg(queue.keys.replies(lane));
            }
            for _ in together {
                command.arg(">");
            }
            command
        });
        let mut replies = Vec::new();
        let mut trouble = None;
        let mut answer = Some(self.waits.answer().await);
        // In a Cluster several lanes may have answered.
        while let Some(read) = answer {
            match read {
                Ok(read) => self.take(read, &mut replies).await,
                Err(error) if error.code() == Some("NOGROUP") => {
                    // Redis lost its data, or the stream was deleted by hand: the next look makes the groups again.
                    self.lanes.clear();
                    trouble = self.refresh_lanes().await.err();
                }
                Err(source) => {
                    self.lost_a_read |= source.is_io_error();
                    trouble = Some(RedisError { action: "read the outbox", source });
                }
            }
            answer = self.waits.ready();
        }
        match trouble {
            // What was read already must be shown; the trouble comes again with the next read.
            Some(error) if replies.is_empty() => Err(error),
            _ => Ok(replies),
        }
    }

    /// What Redis gave to this name and has no acknowledgement of.
    async fn read_again(&self) -> Result<Vec<Reply>, RedisError> {
        // Side by side: in a Cluster one lane's node may be away while the others' are there.
        let looks = join_all(self.lanes.iter().map(|lane| self.unacknowledged(lane))).await;
        let mut replies = Vec::new();
        for (lane, entries) in self.lanes.iter().zip(looks) {
            self.collect(lane, entries?, &mut replies).await;
        }
        Ok(replies)
    }

    async fn unacknowledged(&self, lane: &Lane) -> Result<Vec<StreamId>, RedisError> {
        let mut found: Vec<StreamId> = Vec::new();
        loop {
            let after = found.last().map_or(FROM_THE_START, |last| &last.id);
            let read: redis::RedisResult<Option<StreamReadReply>> = redis::cmd("XREADGROUP")
                .arg("GROUP")
                .arg(GROUP)
                .arg(&self.consumer)
                .arg("COUNT")
                .arg(LOOKED_THROUGH)
                .arg("STREAMS")
                .arg(self.queue.keys.replies(lane))
                .arg(after)
                .query_async(&mut self.queue.connection.clone())
                .await;
            let read = match read {
                // The next read makes the group again.
                Err(error) if error.code() == Some("NOGROUP") => return Ok(found),
                read => read.map_err(RedisError::during("read the outbox again"))?,
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
            let known = self.lanes.iter().find(|known| keys.replies(known) == stream.key);
            if let Some(lane) = known {
                self.collect(lane, stream.ids, replies).await;
            }
        }
    }

    /// Says that answers which were read here are still in hand, so that no other coordinator takes them over.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
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

    /// Takes over answers that another coordinator read at least `min_idle` ago and never acknowledged.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn take_over(
        &mut self,
        max: usize,
        min_idle: Duration,
    ) -> Result<Vec<Reply>, RedisError> {
        // Side by side: in a Cluster one lane's node may be away while the others' are there.
        let from = |lane| self.looked_at.get(lane).map_or(FROM_THE_START, String::as_str);
        let looks = self.lanes.iter().map(|lane| self.claim_idle(lane, from(lane), max, min_idle));
        let each = join_all(looks).await;
        let mut replies = Vec::new();
        let mut trouble = None;
        for (lane, claimed) in self.lanes.clone().iter().zip(each) {
            match claimed {
                Ok((entries, next)) => {
                    self.looked_at.insert(lane.clone(), next);
                    self.collect(lane, entries, &mut replies).await;
                }
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            Some(error) if replies.is_empty() => Err(error),
            _ => Ok(replies),
        }
    }

    /// The entries, and where the next look goes on.
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
                self.create_group(lane).await.map(|()| (Vec::new(), FROM_THE_START.to_owned()))
            }
            Err(source) => Err(RedisError { action: "take over answers", source }),
        }
    }

    /// Reads stream entries; one that cannot be understood is dropped, for it could never be sent.
    async fn collect(&self, lane: &Lane, entries: Vec<StreamId>, replies: &mut Vec<Reply>) {
        for entry in entries {
            match read_entry(lane, &entry) {
                Some(reply) => replies.push(reply),
                None => {
                    tracing::warn!(lane = %lane, entry = entry.id, "outbox entry cannot be read; dropped");
                    if let Err(error) = self.remove(lane, &entry.id).await {
                        // It is taken over again, and dropped then.
                        tracing::debug!(error = %error.source, "the entry stays for now");
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
