//! From the project's answer to pages, or to what is wrong.

use kit::http::{HttpError, Response};
use kit::text::{clean, web_address};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Trouble;
use super::columns::Columns;
use crate::cursor::is_id;
use crate::day::is_moment;
use crate::filter::Filter;
use crate::page::Part;
use crate::params::Wanted;
use crate::source::{Item, Kind};

/// One row under our names.
#[derive(Debug)]
struct Row {
    id: Option<String>,
    title: Option<String>,
    url: Option<String>,
    kind: Option<String>,
    posted_at: Option<String>,
}

impl Row {
    fn read(mut cells: Map<String, Value>, columns: &Columns) -> Result<Self, Trouble> {
        let mut text = |ours: &str, theirs: &str, wanted: &str| match cells.remove(ours) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if ours == "id" => Ok(Some(number.to_string())),
            Some(other) => Err(fatal(&format!(
                "its column `{theirs}` holds {} where {wanted} is needed: name another one for `{ours}` in \
                 `supabase_columns` in content.toml",
                kind_of(&other)
            ))),
        };
        Ok(Self {
            id: text("id", &columns.id, "a number or a text")?,
            title: text("title", &columns.title, "a text")?,
            url: text("url", &columns.url, "a text")?,
            kind: text("type", &columns.kind, "a text")?,
            posted_at: text("posted_at", &columns.posted_at, "a date")?,
        })
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
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
    columns: &Columns,
    wanted: &Wanted,
    size: usize,
    answer: Result<Response, HttpError>,
) -> Result<Part, Trouble> {
    let response = answer.map_err(|error| unreached(&error))?;
    if !matches!(response.status, 200 | 206) {
        return Err(refused(&response, columns));
    }
    let rows: Vec<Row> = rows(&response)?
        .into_iter()
        .map(|cells| Row::read(cells, columns))
        .collect::<Result<_, _>>()?;
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
    Ok(Part { items, read, left: total.unwrap_or(read), last })
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

/// The database's codes for a value or an operator that does not go with a column's type (appendix A of its manual).
/// PostgREST gives them several statuses, among them the 404 of a table that is not there.
const OF_TYPES: [&str; 6] = ["22003", "22007", "22008", "22P02", "42804", "42883"];

fn refused(response: &Response, columns: &Columns) -> Trouble {
    let refusal: Refusal = serde_json::from_slice(&response.body).unwrap_or_default();
    let status = response.status;
    let of_types = refusal.code.as_deref().is_some_and(|code| OF_TYPES.contains(&code));
    let said = said(refusal);
    if of_types {
        let Columns { creator_url, creator_name, title, url, kind, posted_at, .. } = columns;
        return fatal(&format!(
            "one of its columns has another type than is needed: {creator_url}, {creator_name}, {title}, {url} and \
             {kind} are text, {posted_at} is a date or timestamptz; compare `supabase_columns` in content.toml with \
             the table; status {status}{said}"
        ));
    }
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
fn said(refusal: Refusal) -> String {
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

fn rows(response: &Response) -> Result<Vec<Map<String, Value>>, Trouble> {
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
    let id = row.id.clone().filter(|id| is_id(id))?;
    Some((at, id))
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
