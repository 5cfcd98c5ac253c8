//! The extended search: it asks the operator's forum through the REST API of its software, one module per software. This
//! has no I/O of its own: the caller passes `send`, and the host adds the headers with the keys.

mod discourse;
mod error;
mod forum;
mod page;
mod settings;
mod xenforo;

use std::time::Duration;

use freefans_plugin::http::{HttpError, Request, Response};
use freefans_plugin::text::{clean, web_address};
use kit::address::Base;
use kit::text::without_entities;
use serde_json::{Value, json};

use crate::descriptor::MAX_PAGE;
use crate::params::ExtendedRequest;
pub use error::ForumError;
use forum::Forum;
use page::Hit;
pub use settings::Settings;
use settings::Software;

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

/// Asks the forum. `send` sends all requests at once and returns the answers in the same order; `elapsed` is the time
/// since the search began.
///
/// # Errors
///
/// [`ForumError`]: whether to try again, and what to tell the operator.
pub fn search(
    settings: &Settings,
    request: &ExtendedRequest,
    mut send: impl FnMut(&[Request]) -> Vec<Result<Response, HttpError>>,
    elapsed: impl Fn() -> Duration,
) -> Result<Answer, ForumError> {
    let mut forum = Forum { settings, send: &mut send, elapsed: &elapsed };
    let page = match settings.software {
        Software::Discourse => discourse::search(&mut forum, request)?,
        Software::XenForo => xenforo::search(&mut forum, request)?,
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
        // True even for an empty page: a forum without search is scanned a few pages at a time.
        "has_more": page.more && request.page < MAX_PAGE,
    });
    let remark = unreadable.told("threads").map(|told| format!("the extended search: {told}"));
    Ok(Answer { data, metadata: unreadable.metadata(), remark })
}

/// The published form of a hit, or why it cannot be shown. Forums escape titles and texts for web pages; here they are
/// decoded.
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
