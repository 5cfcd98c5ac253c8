//! The extended search: the operator's forum through its software's official REST API, one module per software. No I/O
//! of its own: `send` is handed in, and the keys travel in headers that the host adds.

mod discourse;
mod trouble;
mod xenforo;

use std::time::Duration;

use kit::address::Base;
use kit::http::{HttpError, Request, Response};
use kit::json::Unreadable;
use kit::settings::whole_or_default;
use kit::text::{clean, web_address, without_entities};
use serde_json::{Value, json};

use crate::descriptor::MAX_PAGE;
use crate::params::ExtendedRequest;
pub use trouble::Ask;

const FILE: &str = "search.toml";
const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// What leaves a task's 30 s (`wall_ms`) some for its own work.
const MAX_TIMEOUT_SECONDS: u32 = 25;

/// What a person reads when there is no forum.
pub const NOT_CONFIGURED: &str = "not configured: set `extended_search_url` in search.toml and grant its address with \
                                  `net = [\"https://…\"]`";

/// What a person reads when the operator has to change something.
pub const NOT_SET_UP: &str = "The extended search does not work: something is not set up right. Whoever runs me finds \
                              the reason in my log.";
/// What a person reads when it may work later.
pub const TRY_LATER: &str =
    "The extended search does not answer at the moment. Please try again in a little while.";

/// What an operator reads when the extended search cannot work with its settings.
pub fn turned_off(problem: &str) -> String {
    format!("the extended search is off: {problem}")
}

/// The forum's software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Discourse,
    XenForo,
}

/// Where the forum is, which software it runs and how long to wait for all that it is asked for one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    base: Base,
    kind: Kind,
    timeout_ms: u32,
}

impl Settings {
    /// Reads the settings through `get`; none where there is no forum. The kind has to be right all the same, so that a
    /// mistake shows before the forum is there. What costs less than the whole extended search goes to `remarks`.
    ///
    /// # Errors
    ///
    /// What to set, as a sentence. It is for whoever loads the plugin to tell: the names are found without a forum.
    pub fn from(
        get: impl Fn(&str) -> Option<String>,
        remarks: &mut Vec<String>,
    ) -> Result<Option<Self>, String> {
        let key = "extended_search_timeout_seconds";
        let (default, range) = (DEFAULT_TIMEOUT_SECONDS, 1..=MAX_TIMEOUT_SECONDS);
        let timeout = whole_or_default((FILE, key), get(key).as_deref(), default, range, remarks);
        let kind = get("extended_search_kind").map(|kind| kind.trim().to_ascii_lowercase());
        let kind = match kind.as_deref() {
            None | Some("discourse") => Kind::Discourse,
            Some("xenforo") => Kind::XenForo,
            Some(_) => {
                return Err(
                    "`extended_search_kind` in search.toml is `discourse` or `xenforo`".to_owned()
                );
            }
        };
        let url = get("extended_search_url").filter(|url| !url.trim().is_empty());
        let Some(url) = url else { return Ok(None) };
        let base = Base::parse(&url)
            .map_err(|problem| format!("`extended_search_url` in search.toml {problem}"))?;
        Ok(Some(Self { base, kind, timeout_ms: timeout * 1_000 }))
    }
}

/// Sends all requests at once and gives the answers in their order.
type Send<'a> = &'a mut dyn FnMut(&[Request]) -> Vec<Result<Response, HttpError>>;

/// A forum that is asked: its settings, the way to it, and the time that it has left.
struct Forum<'a> {
    settings: &'a Settings,
    send: Send<'a>,
    elapsed: &'a dyn Fn() -> Duration,
}

impl Forum<'_> {
    /// A request for a path behind the forum's address. All requests for one answer share the time: two that follow
    /// each other must not outlast the task.
    fn get(&self, path: &str) -> Request {
        let elapsed = u32::try_from((self.elapsed)().as_millis()).unwrap_or(u32::MAX);
        // A host may take 0 for no limit at all.
        let left = self.settings.timeout_ms.saturating_sub(elapsed).max(1);
        Request::get(self.settings.base.at(path), left)
    }

    /// One request's answer.
    fn ask(&mut self, request: Request) -> Result<Response, HttpError> {
        (self.send)(&[request]).pop().unwrap_or(Err(HttpError::Unreachable))
    }
}

/// A page of threads.
#[derive(Debug, Default)]
struct Page {
    hits: Vec<Hit>,
    more: bool,
    unreadable: Unreadable,
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

/// A page of threads in the published form.
#[derive(Debug)]
pub struct Answer {
    /// The answer's data.
    pub data: Value,
    /// The answer's metadata.
    pub metadata: Value,
    /// What the operator should know about it.
    pub remark: Option<String>,
}

/// Asks the forum. `send` sends all requests at once and gives the answers in their order; `elapsed` says how long it
/// is since the search began.
///
/// # Errors
///
/// [`Ask`]: whether to try again, and what to tell the operator.
pub fn search(
    settings: &Settings,
    request: &ExtendedRequest,
    mut send: impl FnMut(&[Request]) -> Vec<Result<Response, HttpError>>,
    elapsed: impl Fn() -> Duration,
) -> Result<Answer, Ask> {
    let mut forum = Forum { settings, send: &mut send, elapsed: &elapsed };
    let page = match settings.kind {
        Kind::Discourse => discourse::search(&mut forum, request)?,
        Kind::XenForo => xenforo::search(&mut forum, request)?,
    };
    let mut unreadable = page.unreadable;
    let hits = page.hits.into_iter().map(|hit| shown(&settings.base, hit));
    let creators: Vec<Value> = hits.filter_map(|hit| unreadable.keep(hit)).collect();
    let data = json!({
        "query": request.query,
        "creators": creators,
        "exact_match": false,
        "fuzzy_match": !creators.is_empty(),
        "source": "simpcity",
        "page": request.page,
        // Also where nothing is on this page: a forum without a search is looked through a few pages at a time.
        "has_more": page.more && request.page < MAX_PAGE,
    });
    let remark = unreadable.told("threads").map(|told| format!("the extended search: {told}"));
    Ok(Answer { data, metadata: unreadable.metadata(), remark })
}

/// In the published form, or why it cannot be shown. Forums escape titles and texts for web pages: here they are text.
fn shown(base: &Base, hit: Hit) -> Result<Value, &'static str> {
    let name = clean(&without_entities(&hit.title), 120);
    if name.is_empty() {
        return Err("no title");
    }
    if !web_address(&hit.url) {
        return Err("its address is none that may be shown");
    }
    Ok(json!({
        "name": name,
        "url": hit.url,
        "source": "simpcity",
        "score": 0.0,
        "replies": hit.replies,
        "date": hit.date,
        "snippet": clean(&without_entities(&hit.snippet), 200),
        "thumbnail": hit.thumbnail.and_then(|link| base.link(&link)),
    }))
}

#[cfg(test)]
mod tests;
