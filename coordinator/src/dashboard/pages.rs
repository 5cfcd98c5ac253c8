//! The pages. Each is built from the query of its address, for the request itself and again for its updates.

mod audit_page;
mod chats;
mod context;
mod dead;
mod finished;
mod overview;
mod plan_page;
mod plugins;
mod reach;
mod rollback;
mod task;
mod tasks;
mod timeline;
mod types;
mod workers;

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Query, State as Shared};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use maud::html;

use super::layout::{self, Page};
use super::sessions::Viewer;
use super::state::State;

pub(super) use context::{Context, Fields};

/// The pages that have updates, by the word in their updates' address.
pub(super) const LIVE: &[&str] =
    &["overview", "tasks", "task", "types", "workers", "plugins", "chats"];

/// Builds one of them.
pub(super) fn build<'a>(name: &'a str, context: &'a Context) -> BoxFuture<'a, Option<Page>> {
    Box::pin(async move {
        Some(match name {
            "overview" => overview::build(context).await,
            "tasks" => tasks::build(context).await,
            "task" => task::build(context).await,
            "types" => types::build(context).await,
            "workers" => workers::build(context).await,
            "plugins" => plugins::build(context).await,
            "chats" => chats::build(context).await,
            _ => return None,
        })
    })
}

type Parts = (Shared<Arc<State>>, Extension<Viewer>, Query<Fields>, Uri);

async fn live(name: &str, place: &str, parts: Parts) -> Response {
    let (Shared(state), Extension(viewer), Query(query), uri) = parts;
    let context = Context { state, viewer, query, is_update: false };
    let Some(page) = build(name, &context).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    framed(&context, &page, place, Some(&format!("/events/{name}{query}")))
}

fn framed(context: &Context, page: &Page, place: &str, events: Option<&str>) -> Response {
    let note = context.state.told(&context.viewer);
    layout::framed(page, &context.viewer, place, events, note.as_deref()).into_response()
}

macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident at $place:literal;)*) => {
        $($(#[$doc])*
        pub(super) async fn $name(
            state: Shared<Arc<State>>,
            viewer: Extension<Viewer>,
            query: Query<Fields>,
            uri: Uri,
        ) -> Response {
            live(stringify!($name), $place, (state, viewer, query, uri)).await
        })*
    };
}

pages! {
    /// Is all well?
    overview at "/";
    /// Tasks that have not ended.
    tasks at "/tasks";
    /// One task.
    task at "/tasks";
    /// Task types, and what an operator may change of them.
    types at "/types";
    /// The workers.
    workers at "/workers";
    /// The plugins.
    plugins at "/plugins";
    /// Answers on their way.
    chats at "/chats";
}

/// Tasks that have ended. Not kept up to date: a search reads much.
pub(super) async fn finished(
    Shared(state): Shared<Arc<State>>,
    Extension(viewer): Extension<Viewer>,
    Query(query): Query<Fields>,
) -> Response {
    let context = Context { state, viewer, query, is_update: false };
    framed(&context, &finished::build(&context).await, "/tasks", None)
}

/// Tasks that failed for good. Not kept up to date: many of them are read.
pub(super) async fn dead(
    Shared(state): Shared<Arc<State>>,
    Extension(viewer): Extension<Viewer>,
    Query(query): Query<Fields>,
) -> Response {
    let context = Context { state, viewer, query, is_update: false };
    framed(&context, &dead::build(&context).await, "/dead", None)
}

/// The question before a plugin goes back to an earlier version.
pub(super) async fn rollback(
    Shared(state): Shared<Arc<State>>,
    Extension(viewer): Extension<Viewer>,
    Query(query): Query<Fields>,
) -> Response {
    let context = Context { state, viewer, query, is_update: false };
    framed(&context, &rollback::build(&context).await, "/plugins", None)
}

/// Who changed what.
pub(super) async fn audit(
    Shared(state): Shared<Arc<State>>,
    Extension(viewer): Extension<Viewer>,
    Query(query): Query<Fields>,
) -> Response {
    let context = Context { state, viewer, query, is_update: false };
    framed(&context, &audit_page::build(&context).await, "/audit", None)
}

/// The question before something is done to many.
pub(super) async fn plan(
    Shared(state): Shared<Arc<State>>,
    Extension(viewer): Extension<Viewer>,
    Query(query): Query<Fields>,
) -> Response {
    let context = Context { state, viewer, query, is_update: false };
    let place = context
        .query
        .get("id")
        .and_then(|id| context.state.plans.find(&context.viewer, id, Instant::now()));
    let place = place.map(|plan| plan.back.split('?').next().unwrap_or_default().to_owned());
    framed(&context, &plan_page::build(&context), place.as_deref().unwrap_or("/"), None)
}

/// There is no such page.
pub(super) async fn not_found() -> Response {
    let text = html! { h1 { "There is no such page" } p { a href="/" { "Overview" } } };
    (StatusCode::NOT_FOUND, layout::bare("Not found", &text)).into_response()
}
