//! A strict local Bot API server with a web chat page. For development and tests, never for production.
//!
//! The Bot API side ([`bot_api`]) refuses what Telegram refuses, with its words. The control side ([`control`]) lets a
//! test or the chat page be the person: type, press buttons, read everything that happened in order. Faults
//! ([`faults`]) make it answer as Telegram does on a bad day.

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
    // Open streams and long polls would keep a graceful shutdown waiting: losing them is what a stop means here.
    let result = tokio::select! {
        served = async { axum::serve(listener, app).await } => served,
        () = shutdown.cancelled() => Ok(()),
    };
    delivering.abort();
    result
}
