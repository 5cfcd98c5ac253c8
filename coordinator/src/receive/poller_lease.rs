//! The lease in Redis by which one coordinator polls at a time.
//!
//! Telegram lets one program poll and ends the other's call. The lease keeps two coordinators from ending each other's. If
//! both poll after a lease has ended, no harm is done: the same update makes the same tasks.

use std::time::Duration;

use queue::{Refusal, TaskQueue, millis};
use tokio_util::sync::CancellationToken;

use crate::keys::CoordinatorKeys;
use crate::redis_lease::RedisLease;

/// How long a silent holder keeps the lease: as long as a worker keeps its tasks. Who held it before polls no longer after this time.
pub(super) const LEASE: Duration = Duration::from_secs(6);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Telegram keeps updates for 24 h; an older offset is of no use.
const KEEP_OFFSET_SECONDS: u64 = 25 * 3600;
/// Three times the interval at which a coordinator checks its webhook.
const KEEP_WEBHOOK: Duration = Duration::from_secs(180);

/// The lease to poll for a bot's updates.
#[derive(Debug)]
pub(crate) struct PollerLease {
    queue: TaskQueue,
    bot: String,
    lease: RedisLease,
}

impl PollerLease {
    /// The lease of bot `bot_id`, to be held by `me`.
    pub(crate) fn new(queue: TaskQueue, bot_id: u64, me: &str) -> Self {
        let bot = bot_id.to_string();
        let key = queue.keys().poller_lease(&bot);
        let lease = RedisLease::new(queue.clone(), key, me, LEASE);
        Self { queue, bot, lease }
    }

    /// Notes trouble with Redis in the log and the metrics.
    pub(crate) fn note_trouble(&self, doing: &'static str, error: &redis::RedisError) {
        self.queue.note_trouble(None, doing, error);
    }

    /// Takes or renews the lease and returns the offset to continue from; none when another coordinator holds it.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub(crate) async fn acquire(&self) -> redis::RedisResult<Option<u32>> {
        if !self.lease.hold().await? {
            return Ok(None);
        }
        let offset: redis::RedisResult<Option<Vec<u8>>> = redis::cmd("GET")
            .arg(self.queue.keys().poller_offset(&self.bot))
            .query_async(&mut self.queue.connection())
            .await;
        Ok(Some(noted_offset(offset)?.unwrap_or(0)))
    }

    /// Notes the URL of this bot's own webhook.
    pub(crate) async fn note_webhook(&self, url: &str) {
        let mut note = redis::cmd("SET");
        note.arg(self.queue.keys().webhook(&self.bot)).arg(url).arg("PX");
        note.arg(millis(KEEP_WEBHOOK));
        let noted: redis::RedisResult<()> = note.query_async(&mut self.queue.connection()).await;
        if let Err(error) = noted {
            tracing::debug!(error = %error, "webhook not stored");
        }
    }

    /// Whether a coordinator of this bot has set its webhook to `url`.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub(crate) async fn is_own_webhook(&self, url: &str) -> redis::RedisResult<bool> {
        let own: Option<String> = redis::cmd("GET")
            .arg(self.queue.keys().webhook(&self.bot))
            .query_async(&mut self.queue.connection())
            .await?;
        Ok(own.as_deref() == Some(url))
    }

    /// Whether another coordinator holds the lease. Renews it when not.
    pub(crate) async fn is_anothers(&self) -> bool {
        matches!(self.lease.hold().await, Ok(false))
    }

    /// Renews the lease. Returns and cancels `lost` when another coordinator holds it or it could not be renewed in time.
    pub(crate) async fn keep(&self, lost: &CancellationToken) {
        let mut held_until = tokio::time::Instant::now() + LEASE;
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let asked_at = tokio::time::Instant::now();
            match self.lease.hold().await {
                Ok(true) => held_until = asked_at + LEASE,
                Ok(false) => break,
                Err(error) => {
                    self.queue.note_trouble(None, "renew the polling lease", &error);
                    if Refusal::of(&error).is_some_and(Refusal::affects_everyone) {
                        // Redis refuses all coordinators: go on, so that people still hear that their questions wait.
                        held_until = asked_at + LEASE;
                    } else if held_until <= tokio::time::Instant::now() {
                        break;
                    }
                }
            }
        }
        tracing::warn!("polling lease lost");
        lost.cancel();
    }

    /// Releases the lease, so that another coordinator need not wait for its end.
    pub(crate) async fn release(&self) {
        self.lease.release().await;
    }

    /// Stores the offset for the coordinator that polls next: Telegram learns it only with the next fetch.
    pub(crate) async fn note_offset(&self, offset: u32) {
        let key = self.queue.keys().poller_offset(&self.bot);
        let value = (offset, "EX", KEEP_OFFSET_SECONDS);
        let noted: redis::RedisResult<()> =
            self.queue.write_even_when_full("SET", key, value).await;
        if let Err(error) = noted {
            tracing::debug!(error = %error, "offset not stored");
        }
    }
}

/// An unreadable offset counts as none: Telegram knows what was confirmed.
fn noted_offset(noted: redis::RedisResult<Option<Vec<u8>>>) -> redis::RedisResult<Option<u32>> {
    let text = match noted {
        Ok(text) => text,
        Err(error) if error.code() == Some("WRONGTYPE") => Some(Vec::new()),
        Err(error) => return Err(error),
    };
    let Some(text) = text else { return Ok(None) };
    let offset = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    if offset.is_none() {
        tracing::warn!("stored offset not readable; fetching all updates that Telegram has");
    }
    Ok(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_that_cannot_be_read_is_none() {
        let read = |text: &str| noted_offset(Ok(Some(text.as_bytes().to_vec()))).unwrap();
        assert_eq!(read("17"), Some(17));
        for junk in ["", "-1", "seventeen", "99999999999"] {
            assert_eq!(read(junk), None, "{junk}");
        }
    }
}
