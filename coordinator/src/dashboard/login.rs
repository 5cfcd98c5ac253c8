//! Logging in with a token, and logging out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Form, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;

use super::audit::{self, Entry};
use super::guard::{Address, Signed, cookie};
use super::layout;
use super::sessions::Viewer;
use super::state::State;

/// Redis is waited for this long. Who looks while it does not answer must be let in.
const RECORD_AT_MOST: Duration = Duration::from_secs(2);

/// The page that asks for the token.
pub(super) async fn page(viewer: Option<Extension<Viewer>>) -> Response {
    if viewer.is_some() {
        return Redirect::to("/").into_response();
    }
    form(None).into_response()
}

fn form(problem: Option<&str>) -> Html<String> {
    layout::bare(
        "Log in",
        &html! {
            form .card.login method="post" action="/login" {
                h1 { "FreeFans dashboard" }
                @if let Some(problem) = problem {
                    p #problem role="alert" { span .tag.bad { "Not logged in" } " " (problem) }
                }
                label for="name" { "Your name, for the record of changes" }
                input #name name="name" autocomplete="username" maxlength="40";
                label for="token" { "Token" }
                input #token name="token" type="password" autocomplete="current-password" required
                    aria-describedby=[problem.map(|_| "problem")];
                button { "Log in" }
            }
        },
    )
}

/// Begins a session for the right token.
pub(super) async fn log_in(
    Shared(state): Shared<Arc<State>>,
    from: Address,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let now = Instant::now();
    if let Err(seconds) = state.attempts.may_try(from.0, now) {
        let why = format!("Too many wrong tokens came from your address. Wait {seconds} s.");
        let retry = [(header::RETRY_AFTER, seconds.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, retry, form(Some(&why))).into_response();
    }
    let Some(role) = state.config.tokens.role_of(field("token").trim()) else {
        state.attempts.wrong(from.0, now);
        tracing::warn!(%from, "wrong token at the dashboard's login");
        let wrong = form(Some("This is not a token of this dashboard."));
        return (StatusCode::UNAUTHORIZED, wrong).into_response();
    };
    let id = state.sessions.begin(field("name"), role, now);
    if let (Some(queue), Some(viewer)) = (state.queue(), state.viewer(Some(&id))) {
        let entry = Entry::new(&viewer, from, "log in", role.as_str());
        let recorded = tokio::time::timeout(RECORD_AT_MOST, audit::record(queue, &entry)).await;
        let why = match recorded {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        };
        if let Some(why) = why {
            tracing::warn!(error = why, "login not recorded");
        }
    }
    ([(header::SET_COOKIE, cookie(Some(&id), &headers))], Redirect::to("/")).into_response()
}

/// Ends the session. Those who may only look may do that too.
pub(super) async fn log_out(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    signed: Signed,
) -> Response {
    if let Some(id) = &signed.viewer.session {
        state.sessions.end(id);
    }
    ([(header::SET_COOKIE, cookie(None, &headers))], Redirect::to("/login")).into_response()
}
