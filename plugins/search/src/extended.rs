//! The extended search: the operator's forum through its software's official REST API, one module per software. No I/O
//! of its own: `send` is handed in, and the keys travel in headers that the host adds.

mod discourse;
mod trouble;
mod xenforo;

use kit::http::{HttpError, Request, Response};
use kit::text::web_address;
use serde_json::{Value, json};

use crate::params::ExtendedRequest;
pub use trouble::Ask;

const DEFAULT_TIMEOUT_SECONDS: u32 = 10;

/// What a person reads when the operator has to change something.
pub const NOT_SET_UP: &str = "The extended search does not work: something is not set up right. Whoever runs me finds \
                              the reason in my log.";
/// What a person reads when it may work later.
pub const TRY_LATER: &str =
    "The extended search does not answer at the moment. Please try again in a little while.";

/// The forum's software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Discourse,
    XenForo,
}

/// Where the forum is, which software it runs and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    base: String,
    kind: Kind,
    timeout_ms: u32,
}

impl Settings {
    /// Reads the settings through `get`.
    ///
    /// # Errors
    ///
    /// What to set, as a sentence.
    pub fn from(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let Some(base) = get("extended_search_url") else {
            return Err("not configured: set `extended_search_url` in search.toml and grant its address with \
                        `net = [\"https://…\"]`"
                .to_owned());
        };
        let kind = match get("extended_search_kind").as_deref() {
            None | Some("discourse") => Kind::Discourse,
            Some("xenforo") => Kind::XenForo,
            Some(_) => {
                return Err(
                    "`extended_search_kind` in search.toml is `discourse` or `xenforo`".to_owned()
                );
            }
        };
        if !web_address(&base) || base.contains(['?', '#']) {
            return Err("`extended_search_url` in search.toml must begin with https:// or http://"
                .to_owned());
        }
        let seconds = match get("extended_search_timeout_seconds") {
            None => DEFAULT_TIMEOUT_SECONDS,
            Some(text) => text.parse().ok().filter(|seconds| (1..=25).contains(seconds)).ok_or(
                "`extended_search_timeout_seconds` in search.toml is a whole number from 1 to 25",
            )?,
        };
        Ok(Self { base: base.trim_end_matches('/').to_owned(), kind, timeout_ms: seconds * 1_000 })
    }
}

/// A page of threads.
#[derive(Debug, Default)]
struct Page {
    hits: Vec<Hit>,
    more: bool,
}

/// One thread.
#[derive(Debug)]
struct Hit {
    title: String,
    url: String,
    replies: u64,
    /// The day it was opened.
    date: Option<String>,
    snippet: String,
    thumbnail: Option<String>,
}

/// Asks the forum. `send` sends all requests at once and gives the answers in their order.
///
/// # Errors
///
/// [`Ask`]: whether to try again, and what to tell the operator.
pub fn search(
    settings: &Settings,
    request: &ExtendedRequest,
    send: impl FnMut(&[Request]) -> Vec<Result<Response, HttpError>>,
) -> Result<Value, Ask> {
    let page = match settings.kind {
        Kind::Discourse => discourse::search(settings, request, send)?,
        Kind::XenForo => xenforo::search(settings, request, send)?,
    };
    let creators: Vec<Value> = page.hits.into_iter().filter_map(shown).collect();
    Ok(json!({
        "query": request.query,
        "creators": creators,
        "exact_match": false,
        "fuzzy_match": !creators.is_empty(),
        "source": "simpcity",
        "page": request.page,
        "has_more": page.more,
    }))
}

/// In the published form; none when its address is not one that may be shown.
fn shown(hit: Hit) -> Option<Value> {
    let name = kit::text::clean(&hit.title, 120);
    if name.is_empty() || !web_address(&hit.url) {
        return None;
    }
    Some(json!({
        "name": name,
        "url": hit.url,
        "source": "simpcity",
        "score": 0.0,
        "replies": hit.replies,
        "date": hit.date,
        "snippet": kit::text::clean(&hit.snippet, 200),
        "thumbnail": hit.thumbnail.filter(|url| web_address(url)),
    }))
}

/// One request's answer.
fn send_one(
    request: Request,
    mut send: impl FnMut(&[Request]) -> Vec<Result<Response, HttpError>>,
) -> Result<Response, HttpError> {
    send(&[request]).pop().unwrap_or(Err(HttpError::Unreachable))
}

#[cfg(test)]
mod tests;
