//! Bot API calls that are repeated until they work.

use std::time::Duration;

use tokio::time::Instant;

use super::bot_api::BotError;
use crate::shutdown::{Shutdown, ShuttingDown};

/// Pause before a failed call is repeated.
pub(crate) const CALL_AGAIN: Duration = Duration::from_millis(500);

/// Repeats a call until it works, cannot work, or the next attempt would come after `until`.
pub(crate) async fn call_until<T, F>(
    shutdown: &Shutdown,
    until: Instant,
    mut call: impl FnMut() -> F,
) -> Result<Result<T, BotError>, ShuttingDown>
where
    F: Future<Output = Result<T, BotError>>,
{
    loop {
        let error = match call().await {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error,
        };
        let Some(wait) = error.try_again_after(CALL_AGAIN) else { return Ok(Err(error)) };
        if until < Instant::now() + wait {
            return Ok(Err(error));
        }
        tracing::debug!(error = %error, "the Bot API is called again");
        shutdown.sleep(wait).await?;
    }
}
