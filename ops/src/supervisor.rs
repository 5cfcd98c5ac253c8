//! What systemd is told: that the service is ready, that it stops, and that it is alive.
//!
//! Without systemd (no `NOTIFY_SOCKET`) nothing is sent. The unit's `WatchdogSec` decides how long we may be silent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::health::Health;

/// Between two looks, when there is no watchdog and only the shutdown is waited for.
const WITHOUT_WATCHDOG: Duration = Duration::from_secs(3_600);
/// Parts of the watchdog's time that pass between two messages: one may be lost.
const MESSAGES_IN_TIME: u32 = 3;

/// Tells systemd what the service waits for, or does.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Tells systemd that the service is ready.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells systemd that the process is alive while `health` says so, and when `shutdown` begins.
pub fn follow(health: Health, shutdown: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let every = sd_notify::watchdog_enabled().map(|within| within / MESSAGES_IN_TIME);
    tokio::spawn(watch(health, shutdown, every, tell));
}

/// Tells of being alive, when there is a watchdog `every` so often, and of the shutdown. Ends with the process.
async fn watch(
    health: Health,
    shutdown: CancellationToken,
    every: Option<Duration>,
    tell: impl Fn(&[NotifyState<'_>]),
) {
    let mut was_alive = true;
    let mut told_stopping = false;
    loop {
        let stops = shutdown.is_cancelled();
        if stops && !std::mem::replace(&mut told_stopping, true) {
            tell(&[NotifyState::Stopping, NotifyState::Status("shutting down")]);
        }
        // The loops end one after another during a shutdown, which has limits of its own.
        let alive = stops || health.is_alive();
        if alive && every.is_some() {
            tell(&[NotifyState::Watchdog]);
        } else if !alive && was_alive {
            let problems = health.loops().into_iter().filter_map(|state| state.problem);
            let problems = problems.collect::<Vec<_>>().join("; ");
            tracing::error!(problems, "not alive; the watchdog is not told otherwise");
        }
        was_alive = alive;
        let pause = tokio::time::sleep(every.unwrap_or(WITHOUT_WATCHDOG));
        if stops {
            pause.await;
        } else {
            let _ = shutdown.run_until_cancelled(pause).await; // Either way it is looked at anew.
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(error = %error, "systemd was not told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn the_watchdog_hears_nothing_while_a_loop_is_stuck() {
        let health = Health::default();
        let turns = health.follow("loop", Duration::from_millis(100));
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let tell = move |states: &[NotifyState<'_>]| {
            heard.lock().unwrap().extend(states.iter().map(ToString::to_string));
        };
        let shutdown = CancellationToken::new();
        let every = Some(Duration::from_millis(10));
        tokio::spawn(watch(health, shutdown.clone(), every, tell));
        let lately = async || {
            said.lock().unwrap().clear();
            tokio::time::sleep(Duration::from_millis(80)).await;
            said.lock().unwrap().clone()
        };
        assert!(lately().await.iter().all(|said| said.contains("WATCHDOG=1")));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(lately().await, Vec::<String>::new(), "it is stuck");
        turns.turned();
        assert!(!lately().await.is_empty(), "it turns again");
        shutdown.cancel();
        let last = lately().await;
        assert!(last.iter().any(|said| said.contains("STOPPING=1")), "{last:?}");
    }
}
