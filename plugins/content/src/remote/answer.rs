//! Reads the project's answer: pages, or what is wrong.

use freefans_plugin::http::{HttpError, Response};
use freefans_plugin::text::{clean, web_address};
use kit::json::{Object, Unreadable, list, readable};
use kit::text::without_entities;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::columns::Columns;
use super::error::RemoteError;
use crate::cursor::is_id;
use crate::day::is_moment;
use crate::filter::Filter;
use crate::item::{Item, Kind};
use crate::page::Part;
use crate::params::Wanted;

/// One row under our names.
#[derive(Debug)]
struct Row {
    id: String,
    at: String,
    /// The item, or why it cannot be shown.
    item: Result<Item, Bad>,
}

/// What is wrong with a row: a reason for the log, and advice for the operator when no row can be used.
#[derive(Debug, Clone)]
struct Bad {
    reason: &'static str,
    advice: String,
}

impl Bad {
    fn unusable() -> Self {
        Self { reason: "it lacks what an item needs", advice: UNUSABLE.to_owned() }
    }
}

/// The cells of a row.
struct Cells<'a> {
    cells: Object<'a>,
}

impl Cells<'_> {
    /// A text; none where the cell is empty.
    fn text(&self, ours: &str, theirs: &str, wanted: &str) -> Result<Option<String>, Bad> {
        if ours == "id"
            && let Some(id) = self.cells.text(ours)
        {
            return Ok(Some(id));
        }
        match self.cells.get::<Value>(ours) {
            _ if self.cells.is_null(ours) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            other => Err(Bad {
                reason: "a column holds another type than is needed",
                advice: format!(
                    "its column `{theirs}` holds {} where {wanted} is needed: name another one for `{ours}` in \
                     `supabase_columns` in content.toml",
                    other.as_ref().map_or("something unreadable", kind_of)
                ),
            }),
        }
    }
}

impl Row {
    /// Reads a row. Time and id are required, because pages are sorted by them.
    fn read(row: &RawValue, columns: &Columns) -> Result<Self, Bad> {
        let cells = Object::read(row.get()).map_err(|_other| Bad::unusable())?;
        let cells = Cells { cells };
        let id = cells.text("id", &columns.id, "a number or a text")?.filter(|id| is_id(id));
        let at = cells.text("posted_at", &columns.posted_at, "a date")?.filter(|at| is_moment(at));
        let shown = Shown::read(&cells, columns);
        let (Some(id), Some(at)) = (id, at) else {
            // A wrong column type is the more helpful reason.
            return Err(shown.err().unwrap_or_else(Bad::unusable));
        };
        let item = shown.and_then(|shown| shown.item(&id, &at));
        Ok(Self { id, at, item })
    }
}

/// The cells of a row that the chat shows.
struct Shown {
    title: Option<String>,
    url: Option<String>,
    kind: Option<String>,
}

impl Shown {
    fn read(cells: &Cells<'_>, columns: &Columns) -> Result<Self, Bad> {
        Ok(Self {
            title: cells.text("title", &columns.title, "a text")?,
            url: cells.text("url", &columns.url, "a text")?,
            kind: cells.text("type", &columns.kind, "a text")?,
        })
    }

    fn item(self, id: &str, at: &str) -> Result<Item, Bad> {
        let url = self.url.filter(|url| web_address(url));
        let kind = self.kind.and_then(|kind| Kind::parse(&kind));
        let (Some(url), Some(kind), Some(date)) = (url, kind, at.get(..10)) else {
            return Err(Bad::unusable());
        };
        let title = clean(&without_entities(&self.title.unwrap_or_default()), 160);
        let title = if title.is_empty() { "Untitled".to_owned() } else { title };
        Ok(Item { id: id.to_owned(), title, url, kind, date: date.to_owned() })
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

/// The body of a refusal by PostgREST.
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
) -> Result<(Part, Unreadable), RemoteError> {
    let response = answer.map_err(|error| unreached(&error))?;
    if !matches!(response.status, 200 | 206) {
        return Err(refused(&response, columns));
    }
    let text = readable(response.body.trim_ascii());
    let pieces = pieces(&text, &response)?;
    let came = pieces.len();
    // With a cursor the count covers only the rows after it.
    let total = response.header("content-range").and_then(total_of);
    let more = total.map_or(size * wanted.pages <= came, |total| came < total);
    let rows: Vec<Result<Row, Bad>> =
        pieces.into_iter().map(|piece| Row::read(piece, columns)).collect();
    // The next page starts after the last row with time and id. Rows after that are read again.
    let last = rows.iter().rposition(Result::is_ok);
    let read = if more { last.map_or(came, |last| last + 1) } else { came };
    let last = rows.get(..read).unwrap_or_default().last().filter(|_| more);
    let last = last.and_then(|row| row.as_ref().ok()).map(|row| (row.at.clone(), row.id.clone()));
    let mut unreadable = Unreadable::default();
    let mut worst = None;
    let mut items = Vec::new();
    for row in rows.into_iter().take(read) {
        match row.and_then(|row| row.item) {
            Ok(item) => items.push(item),
            Err(bad) => {
                unreadable.add(bad.reason);
                worst.get_or_insert(bad.advice);
            }
        }
    }
    let first_page = wanted.after.is_none();
    // No usable row at all means that the table is not what the settings say. A page without a last row has no next one.
    let nothing = items.is_empty() && (first_page || more && last.is_none());
    if let Some(advice) = worst.filter(|_| nothing) {
        return Err(fatal(&advice));
    }
    if came == 0 && first_page && wanted.filter == Filter::default() {
        return Err(RemoteError::NotFound(format!(
            "there is no content for {}",
            wanted.creator_name
        )));
    }
    Ok((Part { items, read, left: total.unwrap_or(read), last }, unreadable))
}

const UNUSABLE: &str = "its rows cannot be used: each needs an `id` of at most 100 bytes, an http(s) `url`, the `type` \
                        `picture` or `video` and a date in `posted_at` (docs/supabase)";

fn unreached(error: &HttpError) -> RemoteError {
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

/// The database's codes for a value or an operator of a wrong type (appendix A of its manual). PostgREST uses several
/// statuses for them, among them 404, which also means a missing table.
const OF_TYPES: [&str; 6] = ["22003", "22007", "22008", "22P02", "42804", "42883"];

fn refused(response: &Response, columns: &Columns) -> RemoteError {
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
        return RemoteError::Later {
            operator: source(&operator),
            after_ms: response.retry_after_ms(),
        };
    }
    fatal(&operator)
}

/// PostgREST's message for the log. Text in double quotes is left out: it may be what a person typed.
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

fn pieces<'a>(text: &'a str, response: &Response) -> Result<Vec<&'a RawValue>, RemoteError> {
    list(text).map_err(|error| match text.bytes().next() {
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

fn fatal(what: &str) -> RemoteError {
    RemoteError::Fatal { operator: source(what) }
}

fn later(what: &str, after_ms: Option<u64>) -> RemoteError {
    RemoteError::Later { operator: source(what), after_ms }
}

fn source(what: &str) -> String {
    format!("the content source: {what}")
}
