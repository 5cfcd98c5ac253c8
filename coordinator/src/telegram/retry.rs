//! Bot API calls that are repeated until they work.

use std::time::Duration;

use ops::retry::{self, RetryPolicy};
use ops::shutdown::{Shutdown, ShuttingDown};
use tokio::time::Instant;

use super::bot_api::BotError;

/// Pause before a failed call is repeated.
pub(crate) const CALL_AGAIN: Duration = Duration::from_millis(500);

/// Repeats a call until it works, cannot work, or the next attempt would come after `until`.
pub(crate) async fn call_until<T, F>(
    shutdown: &Shutdown,
    until: Instant,
    call: impl FnMut() -> F,
) -> Result<Result<T, BotError>, ShuttingDown>
where
    F: Future<Output = Result<T, BotError>>,
{
    let pause_after = |error: &BotError, pause| {
        let pause =
            error.try_again_after(pause).filter(|pause| Instant::now() + *pause <= until)?;
        tracing::debug!(error = %error, "Bot API call failed; retrying");
        Some(pause)
    };
    retry::until_given_up(RetryPolicy::fixed(CALL_AGAIN), shutdown, call, pause_after).await
}
