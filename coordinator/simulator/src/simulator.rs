//! The simulated Telegram: its state behind a lock, and a signal for each change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::state::State;

/// The simulated Telegram. Clones share it.
#[derive(Debug, Clone)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    /// Counts changes, so that long polls and streams wake up.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) token: Arc<str>,
}

impl Simulator {
    /// A Telegram that knows one bot, the one with this token.
    pub fn new(token: &str) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(token))),
            changed: watch::Sender::new(0),
            token: token.into(),
        }
    }

    /// Switches flood limits on: 30 messages and edits in any second, three in 3 s in a private chat, 20 in a minute in
    /// a group.
    #[must_use]
    pub fn with_limits(self) -> Self {
        self.lock().limits.on = true;
        self
    }

    /// Accepts `http://` addresses for webhooks, which Telegram does not: here the receiver is on this machine.
    #[must_use]
    pub fn with_http_webhooks(self) -> Self {
        self.lock().http_webhooks = true;
        self
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all who wait for a change.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        result
    }
}
