//! A Supabase project with one table.
//!
//! Checked against docs.postgrest.org, "Tables and Views", "Pagination and Count" and "Errors".

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::filter::Filter;
use crate::server::{Answer, Asked};

/// The table's columns.
pub const COLUMNS: [&str; 7] =
    ["id", "creator_url", "creator_name", "title", "url", "type", "posted_at"];

/// An item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// A `bigint`.
    pub id: i64,
    /// Whose.
    pub creator_url: String,
    /// Whose, as a name.
    pub creator_name: String,
    /// What to show.
    pub title: String,
    /// Where.
    pub url: String,
    /// `picture` or `video`.
    pub kind: String,
    /// A `timestamptz` as PostgREST writes it: `2026-01-02T03:04:05+00:00`.
    pub posted_at: String,
}

impl Row {
    fn cell(&self, column: &str) -> Value {
        match column {
            "id" => self.id.into(),
            "creator_url" => self.creator_url.as_str().into(),
            "creator_name" => self.creator_name.as_str().into(),
            "title" => self.title.as_str().into(),
            "url" => self.url.as_str().into(),
            "type" => self.kind.as_str().into(),
            "posted_at" => self.posted_at.as_str().into(),
            other => panic!("no column {other}"),
        }
    }

    /// How a cell stands to a value that was checked.
    fn compare(&self, column: &str, value: &str) -> Ordering {
        match column {
            "id" => self.id.cmp(&value.parse().unwrap()),
            "posted_at" => self.posted_at.as_str().cmp(&moment(value)),
            "creator_url" => self.creator_url.as_str().cmp(value),
            "creator_name" => self.creator_name.as_str().cmp(value),
            "title" => self.title.as_str().cmp(value),
            "url" => self.url.as_str().cmp(value),
            _ => self.kind.as_str().cmp(value),
        }
    }

    fn text(&self, column: &str) -> String {
        match self.cell(column) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }
}

/// A day is its first moment.
fn moment(value: &str) -> String {
    if value.len() == 10 { format!("{value}T00:00:00+00:00") } else { value.to_owned() }
}

/// The project.
#[derive(Debug, Clone)]
pub struct Project {
    /// The only key that is let in.
    pub key: String,
    /// The table's name.
    pub table: String,
    /// Its rows, in any order.
    pub rows: Vec<Row>,
    /// Most rows in one answer (`db-max-rows`).
    pub max_rows: usize,
}

/// What a request asks for.
#[derive(Debug, Default)]
struct Query {
    /// Name in the answer and column.
    select: Vec<(String, String)>,
    /// Column, and whether the largest comes first.
    order: Vec<(String, bool)>,
    limit: Option<usize>,
    filters: Vec<Filter>,
}

impl Project {
    /// Answers as PostgREST does behind Supabase's gateway.
    pub fn answer(&self, asked: &Asked) -> Answer {
        match self.read(asked) {
            Ok(answer) => answer,
            Err((status, error)) => {
                Answer::new(status, &error.to_string()).with("content-type", JSON)
            }
        }
    }

    fn read(&self, asked: &Asked) -> Result<Answer, Refused> {
        let bearer = format!("Bearer {}", self.key);
        if asked.header("apikey") != Some(&self.key)
            || asked.header("authorization") != Some(&bearer)
        {
            let hint = "Double check your Supabase `anon` or `service_role` API key.";
            return Err((401, json!({"message": "Invalid API key", "hint": hint})));
        }
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        if path.strip_prefix("/rest/v1/") != Some(&self.table) {
            let table = path.rsplit('/').next().unwrap_or_default();
            return Err(refused(
                404,
                "PGRST205",
                format!("Could not find the table 'public.{table}' in the schema cache"),
            ));
        }
        let query = Query::parse(query)?;
        let (first, last) = range(asked.header("range"))?;
        let mut fitting: Vec<&Row> =
            self.rows.iter().filter(|row| query.filters.iter().all(|f| fits(f, row))).collect();
        fitting.sort_by(|a, b| query.compare(a, b));
        let total = fitting.len();
        let limit = query.limit.unwrap_or(usize::MAX).min(self.max_rows).min(last - first + 1);
        let rows: Vec<Value> =
            fitting.into_iter().skip(first).take(limit).map(|row| query.shown(row)).collect();
        let counted = asked.header("prefer").is_some_and(|prefer| prefer.contains("count=exact"));
        let total_text = if counted { total.to_string() } else { "*".to_owned() };
        let range = match rows.len() {
            0 => format!("*/{total_text}"),
            count => format!("{first}-{}/{total_text}", first + count - 1),
        };
        let status = if counted && rows.len() < total { 206 } else { 200 };
        Ok(Answer::new(status, &Value::Array(rows).to_string())
            .with("content-type", JSON)
            .with("content-range", &range))
    }
}

const JSON: &str = "application/json; charset=utf-8";

type Refused = (u16, Value);

fn refused(status: u16, code: &str, message: impl Into<String>) -> Refused {
    let message: String = message.into();
    (status, json!({"code": code, "message": message, "details": null, "hint": null}))
}

impl Query {
    fn parse(query: &str) -> Result<Self, Refused> {
        let mut parsed = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let name = decode(name);
            let value = decode(value);
            let unread =
                || refused(400, "PGRST100", format!("\"failed to parse {name} ({value})\""));
            match name.as_str() {
                "select" => {
                    for part in value.split(',') {
                        let (shown, column) = part.split_once(':').unwrap_or((part, part));
                        parsed.select.push((shown.to_owned(), column.to_owned()));
                    }
                }
                "order" => {
                    for part in value.split(',') {
                        let (column, direction) = part.split_once('.').unwrap_or((part, "asc"));
                        if !["asc", "desc"].contains(&direction) {
                            return Err(unread());
                        }
                        parsed.order.push((column.to_owned(), direction == "desc"));
                    }
                }
                "limit" => parsed.limit = Some(value.parse().map_err(|_not_a_number| unread())?),
                "or" => parsed.filters.push(Filter::any_of(&value).ok_or_else(unread)?),
                column => {
                    parsed.filters.push(Filter::of_column(column, &value).ok_or_else(unread)?);
                }
            }
        }
        parsed.check()?;
        Ok(parsed)
    }

    /// Columns exist, and values are of their type.
    fn check(&self) -> Result<(), Refused> {
        let named = self.select.iter().map(|(_, column)| column.as_str());
        let named = named.chain(self.order.iter().map(|(column, _)| column.as_str()));
        let leaves: Vec<(&str, &str)> = self.filters.iter().flat_map(Filter::leaves).collect();
        for column in named.chain(leaves.iter().map(|(column, _)| *column)) {
            if !COLUMNS.contains(&column) {
                let message = format!("column content.{column} does not exist");
                return Err(refused(400, "42703", message));
            }
        }
        for (column, value) in leaves {
            if column == "id" && value.parse::<i64>().is_err() {
                let message = format!("invalid input syntax for type bigint: \"{value}\"");
                return Err(refused(400, "22P02", message));
            }
            let digits = value.bytes().take(10).filter(u8::is_ascii_digit).count();
            if column == "posted_at" && digits != 8 {
                let message =
                    format!("invalid input syntax for type timestamp with time zone: \"{value}\"");
                return Err(refused(400, "22007", message));
            }
        }
        Ok(())
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        self.order
            .iter()
            .map(|(column, largest_first)| {
                let order = a.compare(column, &b.text(column));
                if *largest_first { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn shown(&self, row: &Row) -> Value {
        let cells = self.select.iter().map(|(shown, column)| (shown.clone(), row.cell(column)));
        Value::Object(cells.collect::<Map<_, _>>())
    }
}

fn fits(filter: &Filter, row: &Row) -> bool {
    filter.fits(&|column, value| row.compare(column, value), &|column| row.text(column))
}

/// `0-9`, or everything.
fn range(header: Option<&str>) -> Result<(usize, usize), Refused> {
    let Some(header) = header else { return Ok((0, usize::MAX - 1)) };
    let bound = |text: &str| text.parse::<usize>().ok();
    header
        .split_once('-')
        .and_then(|(first, last)| Some((bound(first)?, bound(last)?)))
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| refused(416, "PGRST103", "Requested range not satisfiable"))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut escaped = || {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()
        };
        bytes.push(if byte == b'%' { escaped().unwrap() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, range: &str) -> Answer {
        let row = |id: i64, posted_at: &str| Row {
            id,
            creator_url: "https://c.example/a".to_owned(),
            creator_name: "A".to_owned(),
            title: "T".to_owned(),
            url: format!("https://m.example/{id}"),
            kind: "picture".to_owned(),
            posted_at: posted_at.to_owned(),
        };
        let rows = vec![
            row(9, "2026-01-01T00:00:00+00:00"),
            row(10, "2026-01-01T00:00:00+00:00"),
            row(3, "2026-01-02T10:00:00+00:00"),
        ];
        let project =
            Project { key: "k".to_owned(), table: "content".to_owned(), rows, max_rows: 1_000 };
        let headers = [
            ("apikey", "k"),
            ("authorization", "Bearer k"),
            ("range", range),
            ("prefer", "count=exact"),
        ];
        project.answer(&Asked {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: String::new(),
        })
    }

    #[test]
    fn a_range_of_more_is_partial_and_counted() {
        let answer = asked("/rest/v1/content?select=n:id&order=posted_at.desc,id.desc", "0-1");
        assert_eq!((answer.status, answer.body.as_str()), (206, r#"[{"n":3},{"n":10}]"#));
        assert!(answer.headers.contains(&("content-range".to_owned(), "0-1/3".to_owned())));
        let answer = asked("/rest/v1/content?select=id&posted_at=lt.2026-01-02", "0-9");
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"[{"id":9},{"id":10}]"#));
    }

    #[test]
    fn errors_have_postgrests_form() {
        for (target, status, code) in [
            ("/rest/v1/other?select=id", 404, "PGRST205"),
            ("/rest/v1/content?select=nothing", 400, "42703"),
            ("/rest/v1/content?select=id&id=eq.x", 400, "22P02"),
            ("/rest/v1/content?select=id&id=near.1", 400, "PGRST100"),
        ] {
            let answer = asked(target, "0-1");
            let error: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!((answer.status, &error["code"]), (status, &json!(code)), "{target}");
        }
    }
}
