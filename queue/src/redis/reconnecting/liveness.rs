//! When a connection counts as silent: a reply is due, and nothing has been heard for too long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::redis::time::RESPONSE_TIMEOUT;

/// A reply that is due for this long makes a connection silent. For a command that blocks in the server, this begins after
/// its block. Long for a network, short for a person.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(2);
/// The same for a slow connection: one that replied to the ping after all. Ends with a reply within [`QUICK_REPLY`].
const SILENCE_LIMIT_IF_SLOW: Duration = RESPONSE_TIMEOUT;
const QUICK_REPLY: Duration = Duration::from_secs(1);

/// Whether replies are due on one connection.
#[derive(Default)]
pub(super) struct Liveness {
    replies: Mutex<DueReplies>,
    command_sent: Notify,
}

#[derive(Default)]
struct DueReplies {
    /// Commands without a reply.
    count: usize,
    /// Since when nothing was heard although a reply is due. A caller that gives up does not change it.
    since: Option<Instant>,
    slow: bool,
}

impl DueReplies {
    fn silence_limit(&self) -> Duration {
        if self.slow { SILENCE_LIMIT_IF_SLOW } else { SILENCE_LIMIT }
    }
}

impl Liveness {
    fn replies(&self) -> MutexGuard<'_, DueReplies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a command that blocks in the server for `block_time`.
    pub(super) fn command_sent(&self, block_time: Duration) -> PendingCommand<'_> {
        let now = Instant::now();
        let mut replies = self.replies();
        replies.count += 1;
        if replies.since.is_none() {
            replies.since = Some(now);
            self.command_sent.notify_one();
        }
        PendingCommand {
            liveness: self,
            replied: false,
            quick_until: now + block_time + QUICK_REPLY,
        }
    }

    pub(super) fn reply_received(&self) {
        let mut replies = self.replies();
        replies.since = (replies.count > 0).then(Instant::now);
    }

    pub(super) fn mark_slow(&self) {
        self.replies().slow = true;
    }

    /// Returns when the connection is silent. `block_time` is how long its commands block in the server.
    pub(super) async fn silent(&self, block_time: Duration) {
        loop {
            let limit = {
                let replies = self.replies();
                replies.since.map(|since| since + block_time + replies.silence_limit())
            };
            match limit {
                None => self.command_sent.notified().await,
                Some(limit) if limit <= Instant::now() => return,
                Some(limit) => tokio::time::sleep_until(limit).await,
            }
        }
    }
}

/// A command that was sent.
pub(super) struct PendingCommand<'a> {
    liveness: &'a Liveness,
    replied: bool,
    /// A reply before this time shows that the connection is not slow.
    quick_until: Instant,
}

impl PendingCommand<'_> {
    pub(super) fn replied(mut self) {
        self.replied = true;
    }
}

impl Drop for PendingCommand<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut replies = self.liveness.replies();
        replies.count = replies.count.saturating_sub(1);
        if self.replied {
            replies.since = (replies.count > 0).then_some(now);
            replies.slow &= self.quick_until < now;
        }
    }
}
