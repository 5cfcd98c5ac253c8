//! Requests to Redis that are repeated until it answers.

use std::time::Duration;

use queue::TaskQueue;

use crate::shutdown::{Shutdown, ShuttingDown};

/// Pause before a request is repeated: short, because a person waits.
pub(crate) const PAUSE: Duration = Duration::from_millis(300);

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
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                queue.note_trouble(None, doing, &error);
                shutdown.sleep(PAUSE).await?;
            }
        }
    }
}
