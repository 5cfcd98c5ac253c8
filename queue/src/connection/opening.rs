//! Opening a connection when a network may swallow any one of them.
//!
//! A connection that is accepted and never answered gives no error. So the next attempt does not wait for the end of the
//! one before: it begins beside it, and whichever answers first is used. A slow server is still reached, by the first.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use redis::{RedisError, RedisResult};
use tokio::time::{Instant, MissedTickBehavior};

/// Nothing is expected of an attempt after this long: the server's answer to three round trips over a slow line.
pub(super) const OPEN_AT_MOST: Duration = Duration::from_secs(4);
/// An attempt that is silent for this long gets another beside it.
const NEXT_AFTER: Duration = Duration::from_secs(1);

/// Opens what `open` opens. Several attempts may be under way; one that fails while no other is ends the matter.
pub(super) async fn open_soon<'a, T>(
    open: impl Fn() -> BoxFuture<'a, RedisResult<T>>,
) -> RedisResult<T> {
    let until = Instant::now() + OPEN_AT_MOST;
    let mut next = tokio::time::interval(NEXT_AFTER);
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

    /// The nth attempt takes so many seconds and fails or not. Gives what came, after how many seconds and attempts.
    async fn check(attempts: &[(u64, bool)], expected: (bool, u64, usize)) {
        let begun = AtomicUsize::new(0);
        let start = Instant::now();
        let opened = open_soon(|| {
            let (seconds, opens) = attempts[begun.fetch_add(1, Ordering::SeqCst)];
            async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                if opens { Ok(()) } else { Err(RedisError::from(std::io::Error::other("refused"))) }
            }
            .boxed()
        });
        let found = (opened.await.is_ok(), start.elapsed().as_secs(), begun.into_inner());
        assert_eq!(found, expected, "{attempts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_swallowed_attempt_is_made_up_for_and_a_slow_one_is_waited_for() {
        check(&[(0, true)], (true, 0, 1)).await;
        check(&[(9, true), (0, true)], (true, 1, 2)).await;
        check(&[(9, true), (9, true), (0, true)], (true, 2, 3)).await;
        check(&[(3, true), (9, true), (9, true), (9, true)], (true, 3, 3)).await;
        check(&[(0, false)], (false, 0, 1)).await;
        check(&[(9, true), (0, false), (0, true)], (true, 2, 3)).await;
        check(&[(9, true); 5], (false, 4, 4)).await;
    }
}
