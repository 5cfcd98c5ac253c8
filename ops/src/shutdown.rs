//! Turns signals into a token: the first starts the shutdown, the second ends the process at once.

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
