//! Updates of a page, as server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::pages::{self, Context, Fields};
use super::sessions::Viewer;
use super::state::State;

/// How often a page is built again.
const EVERY: Duration = Duration::from_secs(2);

/// How long one stream lasts. The browser opens another one, and a forgotten one ends.
const STREAM_AT_MOST: Duration = Duration::from_secs(10 * 60);

/// One page that is open somewhere.
struct Open {
    name: String,
    context: Context,
    /// What was sent of each part.
    sent: HashMap<&'static str, String>,
    waiting: Vec<Event>,
    is_over: bool,
    until: Instant,
    _slot: OwnedSemaphorePermit,
}

/// Sends the parts of a page that change, until the session ends.
pub(super) async fn stream(
    Shared(state): Shared<Arc<State>>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let Ok(slot) = Arc::clone(&state.streams).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    if !pages::LIVE.contains(&name.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let context = Context { state, viewer, query, is_update: true };
    let open = Open {
        name,
        context,
        sent: HashMap::new(),
        waiting: Vec::new(),
        is_over: false,
        until: Instant::now() + STREAM_AT_MOST,
        _slot: slot,
    };
    let events = stream::unfold(open, |mut open| async move {
        loop {
            if let Some(event) = open.waiting.pop() {
                return Some((Ok::<_, Infallible>(event), open));
            }
            if open.is_over {
                return None;
            }
            tokio::time::sleep(EVERY).await;
            open.look().await;
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

impl Open {
    async fn look(&mut self) {
        let session = self.context.viewer.session.as_deref();
        let is_over = self.context.state.viewer(session).is_none();
        if is_over || self.context.state.shutdown.is_cancelled() || Instant::now() >= self.until {
            self.is_over = true;
            if is_over {
                self.waiting.push(Event::default().event("over").data("-"));
            }
            return;
        }
        let Some(page) = pages::build(&self.name, &self.context).await else { return };
        for part in page.parts {
            let Some(id) = part.id else { continue };
            let html = part.html.into_string();
            if self.sent.get(id) != Some(&html) {
                let data = json!({"id": id, "html": html}).to_string();
                self.waiting.push(Event::default().event("part").data(data));
                self.sent.insert(id, html);
            }
        }
    }
}
