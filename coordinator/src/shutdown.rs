//! Shutdown as an error, so that `?` ends what waits.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The process is shutting down. What was not done is done by another coordinator, or after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process is shutting down")]
pub(crate) struct ShuttingDown;

/// Waits that end when the process shuts down. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Waits that end when `token` is cancelled.
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { token }
    }

    /// Sleeps for `pause`.
    pub(crate) async fn sleep(&self, pause: Duration) -> Result<(), ShuttingDown> {
        let slept = self.token.run_until_cancelled(tokio::time::sleep(pause)).await;
        slept.ok_or(ShuttingDown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_ends_with_the_shutdown() {
        let token = CancellationToken::new();
        let shutdown = Shutdown::new(token.clone());
        assert_eq!(shutdown.sleep(Duration::from_millis(1)).await, Ok(()));
        token.cancel();
        assert_eq!(shutdown.sleep(Duration::from_secs(3_600)).await, Err(ShuttingDown));
    }
}
