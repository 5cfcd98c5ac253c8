//! A strict local Bot API server with a web chat page. For development and tests, never for production.
//!
//! The Bot API side ([`bot_api`]) refuses what Telegram refuses, with its words. The control side ([`control`]) lets a
//! test or the chat page be the person: type, press buttons, read everything that happened in order. Faults
//! ([`faults`]) make it answer as Telegram does on a bad day.

pub mod bot_api;
pub mod control;
pub mod faults;
mod keyboard;
mod limits;
pub mod markup;
mod menus;
mod message;
mod params;
mod people;
pub mod state;
mod webhook;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::state::State;

/// Largest request body that is read.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The simulated Telegram. Clones share it.
#[derive(Debug, Clone)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    /// Counts changes, so that long polls and streams wake up.
    changed: watch::Sender<u64>,
    token: Arc<str>,
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

    /// Takes `http://` addresses for webhooks too, which Telegram does not: here the receiver is on this machine.
    #[must_use]
    pub fn with_http_webhooks(self) -> Self {
        self.lock().http_webhooks = true;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        result
    }
}

/// Serves the Bot API, the control API and the chat page until `shutdown`.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    simulator: Simulator,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let delivering = tokio::spawn(webhook::deliver_until(simulator.clone(), shutdown.clone()));
    let app = Router::new()
        .merge(bot_api::routes())
        .merge(control::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(simulator);
    // Open streams and long polls would keep a graceful shutdown waiting: losing them is what a stop means here.
    let result = tokio::select! {
        served = async { axum::serve(listener, app).await } => served,
        () = shutdown.cancelled() => Ok(()),
    };
    delivering.abort();
    result
}
