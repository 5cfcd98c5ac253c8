//! Times as Redis takes them, and pauses after trouble with it.

use std::time::Duration;

/// Pause after trouble with Redis, so that a dead server does not make a busy loop.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(300);

/// A duration in milliseconds, as Redis takes it; one that is too long is the longest there is.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The error of a command that was given up.
pub(crate) fn timed_out() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
