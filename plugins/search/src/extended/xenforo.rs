//! XenForo 2.1 and later, with `XF-Api-Key` (docs.xenforo.com, "XenForo API").
//!
//! Where the API has a search (2.3): `POST /api/search/` makes one and `GET /api/search/{id}/?page=…` reads it; the key
//! needs the scopes `search:write` and `search:read`. Elsewhere `GET /api/threads/` lists all threads, the last
//! answered first, and titles are matched here: a page of ours is several of the forum's, asked for at the same time.

use kit::http::{HttpError, Request, Response, encode};
use serde::Deserialize;
use serde_json::Value;

use super::{Ask, Forum, Hit, Page, Settings, trouble};
use crate::params::ExtendedRequest;

/// Pages of the thread list that are looked through for one answer. With the two requests of the search before them
/// they stay under `max_http_requests`.
const LISTED_PAGES: u64 = 5;
const SECONDS_OF_A_DAY: i64 = 86_400;

#[derive(Debug, Deserialize)]
struct Made {
    search: Search,
}

#[derive(Debug, Deserialize)]
struct Search {
    search_id: u64,
    #[serde(default)]
    result_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Results {
    results: Vec<Value>,
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Debug, Deserialize)]
struct Listed {
    threads: Vec<Thread>,
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Debug, Default, Deserialize)]
struct Pagination {
    #[serde(default)]
    last_page: u64,
}

/// The API's data type `Thread`.
#[derive(Debug, Deserialize)]
struct Thread {
    thread_id: u64,
    title: String,
    #[serde(default)]
    view_url: Option<String>,
    #[serde(default)]
    reply_count: u64,
    #[serde(default)]
    post_date: i64,
}

pub(super) fn search(forum: &mut Forum<'_>, request: &ExtendedRequest) -> Result<Page, Ask> {
    let answer = forum.ask(make(forum, request));
    match &answer {
        // Versions before 2.3 have no such endpoint.
        Ok(response) if response.status == 404 => return list(forum, request),
        Ok(response) if found_nothing(response) => return Ok(Page::default()),
        _ => {}
    }
    let Made { search } = trouble::read(answer)?;
    if search.result_count == Some(0) {
        return Ok(Page::default());
    }
    let asked = forum.get(&format!("/api/search/{}/?page={}", search.search_id, request.page));
    let answer = forum.ask(asked);
    if 1 < request.page && is_behind_the_last(&answer) {
        return Ok(Page::default());
    }
    let results: Results = trouble::read(answer)?;
    let more = request.page < results.pagination.last_page;
    let count = results.results.len();
    let mut hits: Vec<Hit> = Vec::new();
    for hit in results.results.iter().filter_map(|result| hit_of_result(forum.settings, result)) {
        // Several posts of one thread are one hit.
        if !hits.iter().any(|known| known.url == hit.url) {
            hits.push(hit);
        }
    }
    if hits.is_empty() && 0 < count {
        return Err(trouble::fatal("its search found only things that are no threads"));
    }
    Ok(Page { hits, more })
}

fn make(forum: &Forum<'_>, request: &ExtendedRequest) -> Request {
    let form =
        format!("search_type=post&keywords={}&order=relevance&grouped=1", encode(&request.query));
    Request { form: Some(form), ..forum.get("/api/search/") }
}

/// Whether there is no such page. It was there when the page before was read: threads were removed since.
fn is_behind_the_last(answer: &Result<Response, HttpError>) -> bool {
    answer.as_ref().is_ok_and(|response| {
        response.status != 200
            && trouble::codes(&response.body).iter().any(|code| code == "invalid_page")
    })
}

/// A search without results is an error of its own in XenForo.
fn found_nothing(response: &Response) -> bool {
    response.status == 400
        && trouble::codes(&response.body).iter().any(|code| code.starts_with("no_results"))
}

/// A result is a thread, or a post with its thread; either may be wrapped in `content`.
fn hit_of_result(settings: &Settings, result: &Value) -> Option<Hit> {
    let content = result.get("content").filter(|content| content.is_object()).unwrap_or(result);
    let of_thread = content.get("Thread").unwrap_or(content);
    let thread: Thread = serde_json::from_value(of_thread.clone()).ok()?;
    let text = |key: &str| content.get(key).and_then(Value::as_str);
    let snippet = text("message_plain_text").or_else(|| text("message")).map(without_codes);
    let thumbnail = content
        .get("Attachments")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find_map(|attachment| attachment.get("thumbnail_url")?.as_str());
    let hit = hit(settings, thread);
    Some(Hit {
        snippet: snippet.unwrap_or_default(),
        thumbnail: thumbnail.map(str::to_owned),
        ..hit
    })
}

fn hit(settings: &Settings, thread: Thread) -> Hit {
    let own = format!("{}/threads/{}/", settings.base, thread.thread_id);
    Hit {
        url: thread.view_url.filter(|url| kit::text::web_address(url)).unwrap_or(own),
        title: thread.title,
        replies: thread.reply_count,
        date: day(thread.post_date),
        snippet: String::new(),
        thumbnail: None,
    }
}

fn list(forum: &mut Forum<'_>, request: &ExtendedRequest) -> Result<Page, Ask> {
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
        // A forum may refuse a page behind its last one.
        if first < page && !found.more || 1 < page && is_behind_the_last(&answer) {
            found.more = false;
            break;
        }
        let listed: Listed = trouble::read(answer)?;
        found.more = page < listed.pagination.last_page;
        for thread in listed.threads {
            let title = thread.title.to_lowercase();
            // A thread that is answered meanwhile moves to the front and may come again.
            if words.iter().all(|word| title.contains(word)) && !seen.contains(&thread.thread_id) {
                seen.push(thread.thread_id);
                found.hits.push(hit(forum.settings, thread));
            }
        }
    }
    Ok(found)
}

/// A text without the codes in square brackets that give it its form.
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
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
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
