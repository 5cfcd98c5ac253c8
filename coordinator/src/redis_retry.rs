//! Requests to Redis that are repeated until it answers.

use std::time::Duration;

use ops::retry::{self, RetryPolicy};
use ops::shutdown::{Shutdown, ShuttingDown};
use queue::TaskQueue;

/// Pause before a request is repeated: short, because a person waits.
pub(crate) const PAUSE: Duration = Duration::from_millis(300);
/// No back-off: a request is answered as soon as Redis works again.
pub(crate) const POLICY: RetryPolicy = RetryPolicy::fixed(PAUSE);

/// Repeats a request until Redis answers it. `doing` says in the log what cannot be done meanwhile.
pub(crate) async fn until_answered<T, F>(
    queue: &TaskQueue,
    shutdown: &Shutdown,
    doing: &'static str,
    request: impl Fn() -> F,
) -> Result<T, ShuttingDown>
where
    F: Future<Output = Result<T, redis::RedisError>>,
{
    let attempt =
        || async { request().await.inspect_err(|error| queue.note_trouble(None, doing, error)) };
    retry::until_ok(POLICY, shutdown, attempt).await
}
