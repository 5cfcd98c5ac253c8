//! Opens a connection by hedged attempts: while one is silent, another starts beside it, and the first to succeed is used.
//!
//! A connection that a network accepts and then drops gives no error, so an attempt must not wait for the one before it. A
//! slow server is still reached, by the first attempt.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use redis::{RedisError, RedisResult};
use tokio::time::{Instant, MissedTickBehavior};

/// Longest time for an attempt: three round trips over a slow link.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(6);
/// An attempt that is silent for this long gets another one beside it.
const HEDGE_AFTER: Duration = Duration::from_secs(1);

/// Calls `open` until an attempt succeeds. An attempt that fails while no other is in progress ends it with that error.
pub(super) async fn open_hedged<'a, T>(
    open: impl Fn() -> BoxFuture<'a, RedisResult<T>>,
) -> RedisResult<T> {
    open_within(OPEN_TIMEOUT, HEDGE_AFTER, open).await
}

async fn open_within<'a, T>(
    timeout: Duration,
    hedge_after: Duration,
    open: impl Fn() -> BoxFuture<'a, RedisResult<T>>,
) -> RedisResult<T> {
    let until = Instant::now() + timeout;
    let mut next = tokio::time::interval(hedge_after);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut attempts = FuturesUnordered::new();
    loop {
        // The attempts and the interval keep their state when their branches are dropped.
        tokio::select! {
            biased;
            Some(opened) = attempts.next() => match opened {
                Err(_) if !attempts.is_empty() => {}
                opened => return opened,
            },
            () = tokio::time::sleep_until(until) => {
                return Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)));
            }
            _ = next.tick() => attempts.push(open()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;

    use super::*;

    /// Long enough that a busy machine does not change the order: half a unit lies between two events.
    const UNIT: Duration = Duration::from_secs(1);

    /// Each attempt takes the given half units, then succeeds or fails. Compares the outcome and the number of attempts.
    async fn check(attempts: &[(u32, bool)], expected: (bool, usize)) {
        let begun = AtomicUsize::new(0);
        let opened = open_within(UNIT * 4, UNIT, || {
            let (units, opens) = attempts[begun.fetch_add(1, Ordering::SeqCst)];
            async move {
                tokio::time::sleep(UNIT * units / 2).await;
                if opens { Ok(()) } else { Err(std::io::Error::other("refused").into()) }
            }
            .boxed()
        });
        let found = (opened.await.is_ok(), begun.into_inner());
        assert_eq!(found, expected, "{attempts:?}");
    }

    #[tokio::test]
    async fn a_lost_attempt_is_hedged_and_a_slow_one_still_counts() {
        tokio::join!(
            check(&[(0, true)], (true, 1)),
            check(&[(99, true), (0, true)], (true, 2)),
            check(&[(99, true), (99, true), (0, true)], (true, 3)),
            check(&[(5, true), (99, true), (99, true)], (true, 3)),
            check(&[(0, false)], (false, 1)),
            check(&[(99, true), (0, false), (0, true)], (true, 3)),
            check(&[(99, true); 5], (false, 4)),
        );
    }
}
