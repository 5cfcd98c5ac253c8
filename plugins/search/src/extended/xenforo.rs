//! XenForo 2.1 and later, with `XF-Api-Key` (docs.xenforo.com, "XenForo API").
//!
//! From 2.3 on the API has a search: `POST /api/search/` creates one and `GET /api/search/{id}/?page=…` reads it; the key
//! needs the scopes `search:write` and `search:read`. Older versions only list all threads (`GET /api/threads/`), the
//! last answered first, and titles are matched here. One page of results then takes several pages of the forum, which
//! are requested at the same time.

use freefans_plugin::http::{HttpError, Request, Response, encode};
use kit::json::Object;
use kit::text::without_entities;
use serde_json::value::RawValue;

use super::error::{self, ForumError};
use super::forum::Forum;
use super::page::{Hit, Page};
use super::settings::Settings;
use crate::params::ExtendedRequest;

/// Pages of the thread list that are scanned for one answer. Together with the two requests of the search they stay under
/// `max_http_requests`.
const LISTED_PAGES: u64 = 5;
const SECONDS_OF_A_DAY: i64 = 86_400;

/// The API's data type `Thread`, with the fields that are shown.
#[derive(Debug)]
struct Thread {
    id: u64,
    title: String,
    view_url: Option<String>,
    replies: u64,
    /// When it was opened, as a Unix time.
    opened: i64,
}

impl Thread {
    fn read(thread: &Object<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            id: thread.number("thread_id").ok_or("no `thread_id` that is a number")?,
            title: thread.get("title").ok_or("no `title`")?,
            view_url: thread.get("view_url"),
            replies: thread.number("reply_count").unwrap_or_default(),
            opened: thread.get("post_date").unwrap_or_default(),
        })
    }
}

/// The number of the last page.
fn last_page(answer: &Object<'_>) -> u64 {
    answer.object("pagination").and_then(|pages| pages.number("last_page")).unwrap_or_default()
}

pub(super) fn search(forum: &mut Forum<'_>, request: &ExtendedRequest) -> Result<Page, ForumError> {
    let answer = forum.ask(make(forum, request));
    match &answer {
        // Versions before 2.3 have no such endpoint.
        Ok(response) if response.status == 404 => return list(forum, request),
        Ok(response) if found_nothing(response) => return Ok(Page::default()),
        _ => {}
    }
    let made = error::body(answer)?;
    let search = made.object()?.object("search").ok_or_else(error::not_the_api)?;
    if search.number("result_count") == Some(0) {
        return Ok(Page::default());
    }
    let id = search.number("search_id").ok_or_else(error::not_the_api)?;
    let asked = forum.get(&format!("/api/search/{id}/?page={}", request.page));
    let answer = forum.ask(asked);
    if request.page > 1 && is_behind_the_last(&answer) {
        return Ok(Page::default());
    }
    let body = error::body(answer)?;
    let answer = body.object()?;
    if !answer.has("results") {
        return Err(error::not_the_api());
    }
    let mut found = Page { more: request.page < last_page(&answer), ..Page::default() };
    for result in error::list(&answer, "results")? {
        let hit = found.unreadable.keep(hit_of_result(forum.settings, result));
        // Several posts of one thread are one hit.
        if let Some(hit) = hit.filter(|hit| !found.hits.iter().any(|known| known.url == hit.url)) {
            found.hits.push(hit);
        }
    }
    Ok(found)
}

fn make(forum: &Forum<'_>, request: &ExtendedRequest) -> Request {
    let form =
        format!("search_type=post&keywords={}&order=relevance&grouped=1", encode(&request.query));
    forum.get("/api/search/").method("POST").form(form)
}

/// Whether there is no such page. That happens when threads were removed since the previous page was read.
fn is_behind_the_last(answer: &Result<Response, HttpError>) -> bool {
    answer.as_ref().is_ok_and(|response| {
        response.status != 200
            && error::codes(&response.body).iter().any(|code| code == "invalid_page")
    })
}

/// XenForo answers a search without results with an error.
fn found_nothing(response: &Response) -> bool {
    response.status == 400
        && error::codes(&response.body).iter().any(|code| code.starts_with("no_results"))
}

/// A result is a thread, or a post with its thread; either may be wrapped in `content`.
fn hit_of_result(settings: &Settings, result: &RawValue) -> Result<Hit, &'static str> {
    let result = Object::read(result.get()).map_err(|_other| "no object")?;
    let content = result.object("content").unwrap_or(result);
    let thread = match content.object("Thread") {
        Some(thread) => Thread::read(&thread),
        None => Thread::read(&content),
    };
    let text = content.get("message_plain_text").or_else(|| content.get("message"));
    let attachments = content.list("Attachments").unwrap_or_default();
    let thumbnail = attachments
        .iter()
        .find_map(|attachment| Object::read(attachment.get()).ok()?.get("thumbnail_url"));
    Ok(Hit {
        snippet: text.map(|text: String| without_codes(&text)).unwrap_or_default(),
        thumbnail,
        ..hit(settings, thread?)
    })
}

fn hit(settings: &Settings, thread: Thread) -> Hit {
    let own = || settings.base.at(&format!("/threads/{}/", thread.id));
    Hit {
        url: thread.view_url.and_then(|url| settings.base.link(&url)).unwrap_or_else(own),
        title: thread.title,
        replies: thread.replies,
        date: day(thread.opened),
        snippet: String::new(),
        thumbnail: None,
    }
}

fn list(forum: &mut Forum<'_>, request: &ExtendedRequest) -> Result<Page, ForumError> {
    let first = (request.page - 1) * LISTED_PAGES + 1;
    let pages: Vec<Request> = (first..first + LISTED_PAGES)
        .map(|page| {
            forum.get(&format!("/api/threads/?page={page}&order=last_post_date&direction=desc"))
        })
        .collect();
    let words: Vec<String> = request.query.split_whitespace().map(str::to_lowercase).collect();
    let mut found = Page::default();
    let mut seen: Vec<u64> = Vec::new();
    for (page, answer) in (first..).zip((forum.send)(&pages)) {
        // A forum may refuse pages after the last one.
        if first < page && !found.more || page > 1 && is_behind_the_last(&answer) {
            found.more = false;
            break;
        }
        let body = error::body(answer)?;
        let listed = body.object()?;
        if !listed.has("threads") {
            return Err(error::not_the_api());
        }
        found.more = page < last_page(&listed);
        for thread in error::list(&listed, "threads")? {
            let Some(thread) = found.unreadable.keep(listed_thread(thread)) else { continue };
            let title = without_entities(&thread.title).to_lowercase();
            // A thread that is answered in the meantime moves to the front and may occur twice.
            if words.iter().all(|word| title.contains(word)) && !seen.contains(&thread.id) {
                seen.push(thread.id);
                found.hits.push(hit(forum.settings, thread));
            }
        }
    }
    Ok(found)
}

fn listed_thread(thread: &RawValue) -> Result<Thread, &'static str> {
    Thread::read(&Object::read(thread.get()).map_err(|_other| "no object")?)
}

/// A text without BB codes.
fn without_codes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        match after.split_once(']') {
            Some((code, behind)) if is_code(code) => {
                plain.push(' ');
                rest = behind;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn is_code(code: &str) -> bool {
    let name = code.strip_prefix('/').unwrap_or(code);
    name.starts_with('*') || name.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// The day of a Unix time.
fn day(seconds: i64) -> Option<String> {
    if seconds <= 0 {
        return None;
    }
    // The year begins in March and the era of 400 years with the year 0, so that every leap day is a last day.
    let days = seconds.div_euclid(SECONDS_OF_A_DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    Some(format!("{:04}-{month:02}-{day:02}", year + era * 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_time_has_its_day() {
        for (seconds, date) in [
            (1, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_251_199, "2024-02-29"),
            (1_709_251_200, "2024-03-01"),
            (1_798_761_599, "2026-12-31"),
        ] {
            assert_eq!(day(seconds).as_deref(), Some(date));
        }
        assert_eq!(day(0), None);
    }

    #[test]
    fn a_snippet_has_no_codes() {
        assert_eq!(
            without_codes("[B]All[/B] about [URL='x']her[/URL] [1] ["),
            " All  about  her  [1] ["
        );
    }
}
