//! Opening a connection when a network may swallow any one of them.
//!
//! A connection that is accepted and never answered gives no error. So the next attempt does not wait for the end of the
//! one before: it begins beside it, and whichever answers first is used. A slow server is still reached, by the first.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use redis::{RedisError, RedisResult};
use tokio::time::{Instant, MissedTickBehavior};

/// Nothing is expected of an attempt after this long: three round trips over a slow line.
pub(super) const OPEN_AT_MOST: Duration = Duration::from_secs(6);
/// An attempt that is silent for this long gets another beside it.
const NEXT_AFTER: Duration = Duration::from_secs(1);

/// Opens what `open` opens. Several attempts may be under way; one that fails while no other is ends the matter.
pub(super) async fn open_soon<'a, T>(
    open: impl Fn() -> BoxFuture<'a, RedisResult<T>>,
) -> RedisResult<T> {
    open_within(OPEN_AT_MOST, NEXT_AFTER, open).await
}

async fn open_within<'a, T>(
    at_most: Duration,
    next_after: Duration,
    open: impl Fn() -> BoxFuture<'a, RedisResult<T>>,
) -> RedisResult<T> {
    let until = Instant::now() + at_most;
    let mut next = tokio::time::interval(next_after);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut attempts = FuturesUnordered::new();
    loop {
        // The attempts and the interval keep their state when their branches are lost.
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

    /// Long enough that a busy machine does not confuse the order.
    const UNIT: Duration = Duration::from_millis(200);

    /// The nth attempt takes so many units and fails or not. Gives what came, and how many attempts there were.
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
    async fn a_swallowed_attempt_is_made_up_for_and_a_slow_one_is_waited_for() {
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
