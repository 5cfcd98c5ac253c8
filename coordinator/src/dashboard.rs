//! The dashboard: pages for operators, served by the coordinator (`--admin-listen`).
//!
//! Pages are rendered here, without a script or a file from elsewhere. A page consists of parts; those that show figures are
//! sent again over server-sent events when they change (`events`). Figures are read at most once in two seconds, however
//! many people look (`figures`). Each request passes `guard`; each change is a POST with a CSRF token and is recorded first
//! (`audit`). What is done to many tasks at once is counted before and asked (`plans`).
//!
//! Redis is not trusted: all that comes from it is escaped by the templates.

mod actions;
mod assets;
mod attempts;
mod audit;
mod chart;
mod events;
mod figures;
mod filter;
mod guard;
mod health;
mod layout;
mod letters;
mod login;
mod missing;
mod pages;
mod past;
mod plans;
mod server;
mod sessions;
pub mod settings;
mod state;
mod trend;
mod watch;
mod words;

use std::sync::Arc;

use anyhow::Context;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio_util::sync::CancellationToken;

use settings::DashboardConfig;
pub(crate) use state::Sources;
use state::State;

/// Largest request: the largest params of a task, as a form encodes them.
const BODY_BYTES: usize = 1 << 20;

/// Serves the dashboard until `shutdown`. It works before Redis is reached, to say so.
///
/// # Errors
///
/// When the address cannot be listened on.
pub(crate) async fn serve(
    config: DashboardConfig,
    sources: Sources,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; name another address with --admin-listen", config.listen)
    })?;
    let local = listener.local_addr().context("cannot read the address")?;
    let open = config.tokens.admin.is_none();
    let state = Arc::new(State::new(config, sources, shutdown.clone()));
    tokio::spawn(watch::watch_until(Arc::clone(&state), shutdown.clone()));
    tokio::spawn(server::serve(listener, router(state), shutdown));
    tracing::info!(address = %local, login = !open, "serving the dashboard");
    Ok(())
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(pages::overview))
        .route("/tasks", get(pages::tasks))
        .route("/finished", get(pages::finished))
        .route("/task", get(pages::task))
        .route("/types", get(pages::types))
        .route("/dead", get(pages::dead))
        .route("/workers", get(pages::workers))
        .route("/plugins", get(pages::plugins))
        .route("/rollback", get(pages::rollback))
        .route("/chats", get(pages::chats))
        .route("/audit", get(pages::audit))
        .route("/plan", get(pages::plan))
        .route("/events/{page}", get(events::stream))
        .route("/do/plan", post(actions::carry_out))
        .route("/do/pause", post(actions::pause))
        .route("/do/limit", post(actions::limit))
        .route("/do/drain", post(actions::drain))
        .route("/do/rollback", post(actions::roll_back))
        .route("/do/try-now", post(actions::try_now))
        .route("/do/cancel", post(actions::cancel))
        .route("/do/cancel-found", post(actions::cancel_found))
        .route("/do/run", post(actions::run_again))
        .route("/do/replay", post(actions::replay))
        .route("/do/retry-found", post(actions::retry_found))
        .route("/do/dead", post(actions::choose))
        .route("/do/export", post(actions::export))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/{name}", get(assets::serve))
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), guard::check))
        .with_state(state)
}
