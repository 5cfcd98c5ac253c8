//! Turns signals into a token: the first starts the shutdown, the second ends the process at once. Waits that the shutdown
//! ends.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A token that fires at the first SIGTERM or Ctrl-C. A second signal ends the process with exit code 130.
///
/// Call once, inside the runtime.
///
/// # Errors
///
/// When the operating system does not let us listen to signals.
pub fn signal_token() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let token = CancellationToken::new();
    let fired = token.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for turn in 0..2 {
            // A dropped branch loses no signal: both streams stay alive.
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if turn == 0 {
                tracing::info!("shutting down; a second signal stops at once");
                fired.cancel();
            }
        }
        stop_now();
    });
    Ok(token)
}

#[expect(clippy::exit, reason = "after the second signal nothing is waited for")]
fn stop_now() -> ! {
    std::process::exit(130)
}

/// The process is shutting down. What was not done is done by another coordinator, or after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process is shutting down")]
pub struct ShuttingDown;

/// Waits that end when the process shuts down. Clones share it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Waits that end when `token` is cancelled.
    pub fn new(token: CancellationToken) -> Self {
        Self { token }
    }

    /// A shutdown that never begins, for waits that end in another way.
    pub fn never() -> Self {
        Self::new(CancellationToken::new())
    }

    /// Sleeps for `pause`.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`], when the shutdown begins before the pause is over.
    pub async fn sleep(&self, pause: Duration) -> Result<(), ShuttingDown> {
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
