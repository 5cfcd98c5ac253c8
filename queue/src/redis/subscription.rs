//! Subscription to a pub/sub channel on a connection that is made anew when it breaks or falls silent.
//!
//! A subscription is asked nothing, so its silence says nothing: it is asked for a sign of life again and again.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use redis::RedisResult;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::redis::opening::open_soon;
use crate::redis::reconnecting::RESPONSE_TIMEOUT;
use crate::redis::server::RedisServer;
use crate::redis::time::RETRY_PAUSE;

/// How often a subscription is asked for a sign of life. What takes longer than [`RESPONSE_TIMEOUT`] is not one.
const PING_EVERY: Duration = Duration::from_secs(1);

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
        // Room for one: two notices that nobody has looked at say no more than one.
        let (notice, notices) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = listen(&server, &channel, &notice).await {
                    tracing::debug!(error = %error, "a subscription is made anew");
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        });
        Self { notices, task }
    }

    /// Returns when there was a message, or when one may have been missed: also when the subscription begins.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a notice that is not taken stays.
    pub(crate) async fn notice(&mut self) {
        if self.notices.recv().await.is_none() {
            std::future::pending::<()>().await; // Only after a panic; whoever waits looks from time to time.
        }
    }
}

/// Passes notices on until the subscription ends.
async fn listen(server: &RedisServer, channel: &str, notice: &mpsc::Sender<()>) -> RedisResult<()> {
    let subscribe = || {
        let subscribed = async {
            let mut subscription = server.pubsub().await?;
            subscription.subscribe(channel).await?;
            RedisResult::Ok(subscription)
        };
        subscribed.boxed()
    };
    let (mut sink, mut messages) = open_soon(subscribe).await?.split();
    let _ = notice.try_send(()); // One that is there says the same.
    let pings = async {
        let mut due = tokio::time::interval(PING_EVERY);
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
    let passing = async {
        while messages.next().await.is_some() {
            let _ = notice.try_send(()); // One that is there says the same.
        }
    };
    // Losing either ends both.
    tokio::select! {
        error = pings => Err(error),
        () = passing => Ok(()),
    }
}
