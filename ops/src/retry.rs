//! Operations that are repeated until they succeed, or until the process shuts down.
//!
//! An attempt logs its own error, because only it knows what the error means. Between two attempts passes the pause of a
//! [`RetryPolicy`]; a shutdown ends it at once.

use std::time::Duration;

use crate::shutdown::{Shutdown, ShuttingDown};

/// How long to wait between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    first: Duration,
    longest: Duration,
}

impl RetryPolicy {
    /// The same pause each time: for a server of our own, which a few more requests do not hurt.
    pub const fn fixed(pause: Duration) -> Self {
        Self { first: pause, longest: pause }
    }

    /// A pause that doubles from `first` to `longest`: for a server of others.
    pub const fn exponential(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pauses of one operation.
    pub fn pauses(self) -> Pauses {
        Pauses { next: self.first, longest: self.longest }
    }
}

/// The pauses between the attempts of one operation.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// The pause after one more attempt that failed.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause
    }
}

/// Repeats `attempt` until it succeeds.
///
/// # Errors
///
/// [`ShuttingDown`], when the shutdown begins during a pause.
pub async fn until_ok<T, E, F>(
    policy: RetryPolicy,
    shutdown: &Shutdown,
    mut attempt: impl FnMut() -> F,
) -> Result<T, ShuttingDown>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pauses = policy.pauses();
    loop {
        if let Ok(value) = attempt().await {
            return Ok(value);
        }
        shutdown.sleep(pauses.next_pause()).await?;
    }
}

/// Repeats `attempt` until it succeeds or `pause_after` gives up. That gets each error and the policy's pause, and returns
/// the pause to make, or none to give up with this error.
///
/// # Errors
///
/// [`ShuttingDown`], when the shutdown begins during a pause.
pub async fn until_given_up<T, E, F>(
    policy: RetryPolicy,
    shutdown: &Shutdown,
    mut attempt: impl FnMut() -> F,
    mut pause_after: impl FnMut(&E, Duration) -> Option<Duration>,
) -> Result<Result<T, E>, ShuttingDown>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pauses = policy.pauses();
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error,
        };
        let Some(pause) = pause_after(&error, pauses.next_pause()) else { return Ok(Err(error)) };
        shutdown.sleep(pause).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio_util::sync::CancellationToken;

    use super::*;

    const QUICK: RetryPolicy = RetryPolicy::fixed(Duration::from_millis(1));

    #[test]
    fn a_pause_stays_or_doubles_up_to_a_limit() {
        let seconds = |policy: RetryPolicy| {
            let mut pauses = policy.pauses();
            [(); 4].map(|()| pauses.next_pause().as_secs())
        };
        assert_eq!(seconds(RetryPolicy::fixed(Duration::from_secs(2))), [2, 2, 2, 2]);
        let doubling = RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(seconds(doubling), [1, 2, 3, 3]);
    }

    #[tokio::test]
    async fn an_operation_is_repeated_until_it_succeeds() {
        let attempts = Cell::new(0);
        let third = || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err("not yet") } else { Ok(attempts.get()) }
        };
        assert_eq!(until_ok(QUICK, &Shutdown::never(), third).await, Ok(3));
        attempts.set(0);
        let patient = |_error: &&str, pause| Some(pause);
        let done = until_given_up(QUICK, &Shutdown::never(), third, patient).await;
        assert_eq!(done, Ok(Ok(3)));
        attempts.set(0);
        let impatient = |_error: &&str, _pause| None;
        let given_up = until_given_up(QUICK, &Shutdown::never(), third, impatient).await;
        assert_eq!((given_up, attempts.get()), (Ok(Err("not yet")), 1));
    }

    #[tokio::test]
    async fn the_shutdown_ends_the_repetition() {
        let token = CancellationToken::new();
        token.cancel();
        let shutdown = Shutdown::new(token);
        let fail = || async { Err::<(), _>("never") };
        assert_eq!(until_ok(QUICK, &shutdown, fail).await, Err(ShuttingDown));
        let patient = |_error: &&str, pause| Some(pause);
        let ended = until_given_up(QUICK, &shutdown, fail, patient).await;
        assert_eq!(ended, Err(ShuttingDown));
    }
}
