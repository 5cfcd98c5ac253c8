//! A strict local Bot API server with a web chat page. For development and tests, never for production.
//!
//! The Bot API side ([`bot_api`]) refuses what Telegram refuses, in Telegram's words. On the control side ([`control`])
//! a test or the chat page acts as the person: it types, presses buttons and reads all events in order. Faults
//! ([`faults`]) make calls fail as Telegram's do.

mod bot_api;
mod clock;
mod control;
mod faults;
mod keyboard;
mod limits;
pub mod markup;
mod menus;
mod message;
mod params;
mod people;
mod refusal;
mod simulator;
mod state;
mod updates;
mod webhook;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio_util::sync::CancellationToken;

pub use simulator::Simulator;

/// Largest request body that is read.
const MAX_BODY_BYTES: usize = 1 << 20;

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
    // A graceful shutdown would wait for open streams and long polls, so they are dropped.
    let result = tokio::select! {
        served = async { axum::serve(listener, app).await } => served,
        () = shutdown.cancelled() => Ok(()),
    };
    delivering.abort();
    result
}
