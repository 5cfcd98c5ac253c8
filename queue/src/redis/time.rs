//! Times as Redis takes them, and the times of commands.

use std::time::Duration;

use tokio::time::Instant;

/// Longer than any wait that means something, and short enough for every clock.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
/// Pause after a Redis error, so that a dead server does not cause a busy loop.
pub(crate) const REDIS_RETRY_DELAY: Duration = Duration::from_millis(300);
/// A command without a reply is given up after this time: well within a lease. A silent connection is replaced before
/// that (`reconnecting.rs`).
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(4);

/// A duration in milliseconds, as Redis takes it. One that does not fit becomes `u64::MAX`.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The end of a wait that somebody else chose. A longer one ends after a year: no clock can add any duration.
pub(crate) fn from_now(wait: Duration) -> Instant {
    Instant::now() + wait.min(A_YEAR)
}

/// The error of a command that timed out.
pub(crate) fn timed_out() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
