//! All pub/sub channels of one process, on one connection that is replaced when it breaks or falls silent.
//!
//! A quiet channel and a dead connection look the same, so the connection is pinged.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use redis::{Msg, RedisResult};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::redis::hedged_open::open_hedged;
use crate::redis::server::RedisServer;
use crate::redis::time::{REDIS_RETRY_DELAY, RESPONSE_TIMEOUT};

/// How often a subscription's connection is pinged. A reply has [`RESPONSE_TIMEOUT`].
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// Most channels in one command.
const AT_ONCE: usize = 256;

/// What a subscription tells.
#[derive(Debug)]
pub(crate) enum Notice<'a> {
    /// The connection is new: messages on any channel may have been missed.
    Connected,
    /// From now on no message on these channels is missed while the connection lasts.
    Subscribed(&'a [String]),
    /// A message.
    Message { channel: &'a str, payload: &'a [u8] },
}

enum Change {
    Add(String),
    Remove(String),
}

/// Channels on one connection. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Subscription {
    changes: mpsc::UnboundedSender<Change>,
    task: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscription {
    /// Connects, and subscribes to `channel`. `tell` is called for each notice, one after the other; it must not block.
    pub(crate) fn start(
        server: RedisServer,
        channel: String,
        tell: impl Fn(Notice<'_>) + Send + Sync + 'static,
    ) -> Self {
        let (changes, received) = mpsc::unbounded_channel();
        let mut receiver = Receiver { channels: BTreeSet::from([channel]), changes: received };
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = receiver.receive(&server, &tell).await {
                    tracing::debug!(error = %error, "a subscription is replaced");
                }
                tokio::time::sleep(REDIS_RETRY_DELAY).await;
            }
        });
        Self { changes, task }
    }

    /// Adds a channel. [`Notice::Subscribed`] or [`Notice::Connected`] says when it has begun.
    pub(crate) fn add(&self, channel: String) {
        let _ = self.changes.send(Change::Add(channel)); // The task ends with us.
    }

    pub(crate) fn remove(&self, channel: String) {
        let _ = self.changes.send(Change::Remove(channel)); // As above.
    }
}

struct Receiver {
    channels: BTreeSet<String>,
    changes: mpsc::UnboundedReceiver<Change>,
}

impl Receiver {
    /// Forwards messages until the connection ends.
    async fn receive(
        &mut self,
        server: &RedisServer,
        tell: &(impl Fn(Notice<'_>) + Sync),
    ) -> RedisResult<()> {
        while let Ok(change) = self.changes.try_recv() {
            self.note(change);
        }
        let channels: Vec<String> = self.channels.iter().cloned().collect();
        let subscribe = || {
            let channels = &channels;
            let subscribed = async move {
                let mut connection = server.pubsub().await?;
                for some in channels.chunks(AT_ONCE) {
                    connection.subscribe(some).await?;
                }
                RedisResult::Ok(connection)
            };
            subscribed.boxed()
        };
        let (mut sink, mut messages) = open_hedged(subscribe).await?.split();
        tell(Notice::Connected);
        let mut changing = sink.clone();
        let pings = async {
            let mut due = tokio::time::interval(PING_INTERVAL);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                match tokio::time::timeout(RESPONSE_TIMEOUT, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return error,
                    Err(_) => return std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
                }
            }
        };
        let receiving = async {
            while let Some(message) = messages.next().await {
                tell_message(&message, tell);
            }
        };
        let changes = async {
            loop {
                let mut changes = Vec::new();
                if self.changes.recv_many(&mut changes, AT_ONCE).await == 0 {
                    return RedisResult::Ok(()); // The task ends.
                }
                let (mut added, mut removed) = (Vec::new(), Vec::new());
                for change in changes {
                    match self.note(change) {
                        Change::Add(channel) => added.push(channel),
                        Change::Remove(channel) => removed.push(channel),
                    }
                }
                // A channel may have gone and come back; what counts is the set.
                removed.retain(|channel| !self.channels.contains(channel));
                added.retain(|channel| self.channels.contains(channel));
                if !removed.is_empty() {
                    changing.unsubscribe(&removed).await?;
                }
                if !added.is_empty() {
                    changing.subscribe(&added).await?;
                    tell(Notice::Subscribed(&added));
                }
            }
        };
        // Each branch ends the subscription.
        tokio::select! {
            error = pings => Err(error),
            () = receiving => Ok(()),
            changed = changes => changed,
        }
    }

    fn note(&mut self, change: Change) -> Change {
        match &change {
            Change::Add(channel) => self.channels.insert(channel.clone()),
            Change::Remove(channel) => self.channels.remove(channel),
        };
        change
    }
}

fn tell_message(message: &Msg, tell: &impl Fn(Notice<'_>)) {
    tell(Notice::Message {
        channel: message.get_channel_name(),
        payload: message.get_payload_bytes(),
    });
}
