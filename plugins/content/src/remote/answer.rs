//! From the project's answer to pages, or to what is wrong.

use kit::http::{HttpError, Response};
use kit::text::{clean, web_address};
use serde::Deserialize;
use serde_json::Value;

use super::Trouble;
use crate::cursor::is_id;
use crate::day::is_moment;
use crate::filter::Filter;
use crate::page::{Loaded, Read};
use crate::params::Wanted;
use crate::source::{Item, Kind};

/// One row under our names.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    posted_at: Option<String>,
}

/// What PostgREST says when it refuses.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    hint: Option<String>,
}

pub(super) fn read(
    wanted: &Wanted,
    size: usize,
    answer: Result<Response, HttpError>,
) -> Result<Loaded, Trouble> {
    let response = answer.map_err(|error| unreached(&error))?;
    if !matches!(response.status, 200 | 206) {
        return Err(refused(&response));
    }
    let rows: Vec<Row> = rows(&response)?;
    let read = rows.len();
    // With a cursor the count covers only what is left.
    let total = response.header("content-range").and_then(total_of);
    let more = total.map_or(size * wanted.pages <= read, |total| read < total);
    let last = match rows.last().filter(|_| more).map(key) {
        None => None,
        Some(Some(last)) => Some(last),
        Some(None) => return Err(fatal(UNUSABLE)),
    };
    let items: Vec<Item> = rows.into_iter().filter_map(item).collect();
    let first_page = wanted.after.is_none();
    if items.is_empty() && 0 < read && first_page {
        return Err(fatal(UNUSABLE));
    }
    if read == 0 && first_page && wanted.filter == Filter::default() {
        return Err(Trouble::NotFound(format!("there is no content for {}", wanted.creator_name)));
    }
    let before = wanted.after.as_ref().map_or(0, |after| after.shown);
    let total = before + total.unwrap_or(read);
    Ok(Loaded::new(wanted, size, items, Read { items: read, total, last }))
}

const UNUSABLE: &str = "its rows cannot be used: each needs an `id` of at most 100 bytes, an http(s) `url`, the `type` \
                        `picture` or `video` and a date in `posted_at` (docs/supabase)";

fn unreached(error: &HttpError) -> Trouble {
    match error {
        HttpError::Denied => {
            fatal("it may not be reached: add its address to `net` in content.toml")
        }
        HttpError::Private => fatal(
            "its name leads to a private address: write that address itself, here and in `net` in content.toml",
        ),
        HttpError::TooMany => fatal("raise `max_http_requests` in content.toml"),
        HttpError::Address => fatal("`supabase_url` in content.toml is not a usable address"),
        HttpError::TooLarge => fatal(
            "it answered too much at once: a smaller `page_size`, or a larger `max_http_response_kb` in content.toml",
        ),
        HttpError::Timeout => {
            later("it did not answer in time (`timeout_seconds` in content.toml)", None)
        }
        HttpError::Unreachable => later("it cannot be reached, or its answer broke off", None),
    }
}

fn refused(response: &Response) -> Trouble {
    let said = said(&response.body);
    let status = response.status;
    let what = match status {
        401 | 403 => {
            "it refused our key: check SUPABASE_KEY, and that the key's role may read the table (docs/supabase)"
        }
        404 => "it has no such table: check `supabase_url` and `supabase_table` in content.toml",
        400 => {
            "it did not understand the request: check `supabase_columns` in content.toml against the table"
        }
        300..=399 => "it sends us elsewhere: check `supabase_url` in content.toml",
        408 | 429 => "it is busy",
        500.. => "it has trouble of its own",
        _ => "it refused the request",
    };
    let operator = format!("{what}; status {status}{said}");
    if matches!(status, 408 | 429 | 500..) {
        return Trouble::Later { operator: source(&operator), after_ms: response.retry_after_ms() };
    }
    fatal(&operator)
}

/// PostgREST's own words for the log. What stands in double quotes may be what a person typed and is left out.
fn said(body: &[u8]) -> String {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else { return String::new() };
    let words: Vec<String> = [refusal.code, refusal.message, refusal.hint]
        .into_iter()
        .flatten()
        .map(|text| {
            let outside = text.split('"').step_by(2).collect::<Vec<_>>().join("…");
            clean(&outside, 200)
        })
        .filter(|text| !text.is_empty())
        .collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
}

fn rows(response: &Response) -> Result<Vec<Row>, Trouble> {
    let body = response.body.trim_ascii();
    serde_json::from_slice(body).map_err(|error| match body.first() {
        None => later("its answer is empty", response.retry_after_ms()),
        Some(b'<') => {
            fatal("a web page answers instead of PostgREST: check `supabase_url` in content.toml")
        }
        Some(_) if error.is_eof() => later("its answer ends in the middle", None),
        Some(_) => fatal("its answer is not a list of rows: check `supabase_url` in content.toml"),
    })
}

/// The total in `0-9/57`.
fn total_of(range: &str) -> Option<usize> {
    range.rsplit_once('/')?.1.parse().ok()
}

/// Time and id, by which pages are cut.
fn key(row: &Row) -> Option<(String, String)> {
    let at = row.posted_at.clone().filter(|at| is_moment(at))?;
    let id = match &row.id {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    is_id(&id).then_some((at, id))
}

fn item(row: Row) -> Option<Item> {
    let (at, id) = key(&row)?;
    let date = at.get(..10)?.to_owned();
    let url = row.url.filter(|url| web_address(url))?;
    let kind = Kind::parse(&row.kind?)?;
    let title = clean(&row.title.unwrap_or_default(), 160);
    let title = if title.is_empty() { "Untitled".to_owned() } else { title };
    Some(Item { id, title, url, kind, date })
}

fn fatal(what: &str) -> Trouble {
    Trouble::Fatal { operator: source(what) }
}

fn later(what: &str, after_ms: Option<u64>) -> Trouble {
    Trouble::Later { operator: source(what), after_ms }
}

fn source(what: &str) -> String {
    format!("the content source: {what}")
}
