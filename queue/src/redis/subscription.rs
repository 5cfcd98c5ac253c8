//! Subscription to a pub/sub channel, on a connection that is replaced when it breaks or falls silent.
//!
//! A quiet channel and a dead connection look the same, so the connection is pinged.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use redis::RedisResult;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::redis::hedged_open::open_hedged;
use crate::redis::server::RedisServer;
use crate::redis::time::{REDIS_RETRY_DELAY, RESPONSE_TIMEOUT};

/// How often a subscription's connection is pinged. A reply has [`RESPONSE_TIMEOUT`].
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Notices on one channel. Dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    notices: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscription {
    pub(crate) fn start(server: RedisServer, channel: String) -> Self {
        // Room for one: two unread notices mean no more than one.
        let (notice, notices) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = receive(&server, &channel, &notice).await {
                    tracing::debug!(error = %error, "a subscription is replaced");
                }
                tokio::time::sleep(REDIS_RETRY_DELAY).await;
            }
        });
        Self { notices, task }
    }

    /// Returns after a message, and whenever one may have been missed: also when the subscription begins.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a notice that is not taken stays.
    pub(crate) async fn notice(&mut self) {
        if self.notices.recv().await.is_none() {
            std::future::pending::<()>().await; // Only after a panic; callers poll as well.
        }
    }
}

/// Forwards messages as notices until the subscription ends.
async fn receive(
    server: &RedisServer,
    channel: &str,
    notice: &mpsc::Sender<()>,
) -> RedisResult<()> {
    let subscribe = || {
        let subscribed = async {
            let mut subscription = server.pubsub().await?;
            subscription.subscribe(channel).await?;
            RedisResult::Ok(subscription)
        };
        subscribed.boxed()
    };
    let (mut sink, mut messages) = open_hedged(subscribe).await?.split();
    let _ = notice.try_send(()); // Full means that a notice is unread already.
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
        while messages.next().await.is_some() {
            let _ = notice.try_send(()); // As above.
        }
    };
    // Each branch ends the subscription.
    tokio::select! {
        error = pings => Err(error),
        () = receiving => Ok(()),
    }
}
