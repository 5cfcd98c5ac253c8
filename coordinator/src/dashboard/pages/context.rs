//! What pages are built from, and what they show in place of what cannot be read.

use std::collections::HashMap;
use std::sync::Arc;

use maud::{Markup, html};

use crate::dashboard::figures::Snapshot;
use crate::dashboard::sessions::Viewer;
use crate::dashboard::state::State;

/// The fields of an address.
pub(crate) type Fields = HashMap<String, String>;

/// What a page is built from.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) state: Arc<State>,
    pub(crate) viewer: Viewer,
    pub(crate) query: Fields,
    /// It is built again for its updates, every few seconds.
    pub(crate) is_update: bool,
}

impl Context {
    /// The queue's figures.
    pub(super) async fn figures(&self) -> Arc<Snapshot> {
        let figures = &self.state.figures;
        let queue = self.state.queue();
        if self.is_update { figures.now(queue).await } else { figures.for_opened(queue).await }
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.query.get(name).map(|text| text.trim()).unwrap_or_default()
    }
}

/// In place of what could not be read.
pub(super) fn unread(why: &str) -> Markup {
    html! { p .card.health.bad { "Redis does not answer: " (why) } }
}

/// The value of a read, or what to show in its place.
pub(super) fn shown<T>(read: Result<T, queue::RedisError>) -> Result<T, Markup> {
    read.map_err(|error| unread(&ops::chain::chain(&error).to_string()))
}
