//! A Supabase project as the source, through PostgREST's query language. No I/O of its own: it builds the request and
//! reads the answer. The keys travel in headers that the host adds.
//!
//! Pages are cut by key (`or=(posted_at.lt.…,and(posted_at.eq.…,id.lt.…))`), not by offset, so that rows that come or go
//! shift nothing. `Prefer: count=exact` gives the total in `Content-Range`: whether there is more follows from it, so a
//! project that gives fewer rows at once than were asked for (`db-max-rows`) ends no list early.
//!
//! Several pages are one request with a wider `Range`. Where a page begins is known only when the one before has
//! ended, so pages asked for at the same time would have to be cut by offset.

mod answer;
mod columns;
mod error;

use kit::address::Base;
use kit::http::{HttpError, Request, Response, encode};
use kit::json::Unreadable;
use kit::settings::whole_or_default;

use crate::day::next_day;
use crate::page::Part;
use crate::params::Wanted;
use columns::{Columns, is_name};
pub use error::RemoteError;

const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// What leaves a task's 30 s (`wall_ms`) some for its own work.
const MAX_TIMEOUT_SECONDS: u32 = 25;
const DEFAULT_CACHE_SECONDS: u32 = 300;
/// Where a project has PostgREST.
const API: &str = "/rest/v1";
/// A day.
const MAX_CACHE_SECONDS: u32 = 86_400;

/// Where the project is, what its table is called, how long to wait and how long to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    base: Base,
    table: String,
    columns: Columns,
    timeout_ms: u32,
    /// How long a page may be shown again, in seconds; 0 keeps none.
    pub cache_seconds: u32,
}

/// What a person reads when the operator has to change something.
pub const NOT_SET_UP: &str = "The items cannot be loaded: something is not set up right. Whoever runs me finds the reason in my log.";
/// What a person reads when it may work later.
pub const TRY_LATER: &str =
    "The items do not load at the moment. Please try again in a little while.";

/// What the settings say about the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setup {
    /// There is none: the local table is used.
    Local,
    /// There is one.
    Remote(Box<Remote>),
    /// Its address cannot be used. The local table is not shown in its place: nobody could tell that it is another one.
    Unusable(String),
}

impl Remote {
    /// The project in the settings. What costs nothing but itself goes to `remarks`: a number that does not fit, and
    /// names while there is no project.
    ///
    /// # Errors
    ///
    /// What is wrong with the names of the table and its columns, where there is a project. The version that runs can
    /// do with its own names what this one cannot.
    pub fn from(
        get: impl Fn(&str) -> Option<String>,
        remarks: &mut Vec<String>,
    ) -> Result<Setup, String> {
        let mut seconds = |key: &str, default, range| {
            whole_or_default(("content.toml", key), get(key).as_deref(), default, range, remarks)
        };
        let timeout = seconds("timeout_seconds", DEFAULT_TIMEOUT_SECONDS, 1..=MAX_TIMEOUT_SECONDS);
        let cache_seconds = seconds("cache_seconds", DEFAULT_CACHE_SECONDS, 0..=MAX_CACHE_SECONDS);
        let url = get("supabase_url").filter(|url| !url.trim().is_empty());
        let names = names(get);
        let Some(url) = url else {
            remarks.extend(names.err());
            return Ok(Setup::Local);
        };
        let (table, columns) = names?;
        Ok(match Base::parse(&url) {
            // Some copy the address with the path that requests name themselves.
            Ok(base) => Setup::Remote(Box::new(Self {
                base: base.without(API),
                table,
                columns,
                timeout_ms: timeout * 1_000,
                cache_seconds,
            })),
            Err(problem) => Setup::Unusable(format!("`supabase_url` in content.toml {problem}")),
        })
    }

    /// The request for the wanted pages of `size` items.
    pub fn request(&self, wanted: &Wanted, size: usize) -> Request {
        let Columns { id, creator_url, creator_name, title, kind, posted_at, .. } = &self.columns;
        let mut url = self.base.at(&format!(
            "{API}/{}?select={}&order={posted_at}.desc,{id}.desc",
            self.table,
            self.columns.select()
        ));
        let mut add = |name: &str, value: &str| {
            url.push_str(&format!("&{name}={}", encode(value)));
        };
        match &wanted.creator_url {
            Some(creator) => add(creator_url, &format!("eq.{creator}")),
            None => add(creator_name, &format!("eq.{}", wanted.creator_name)),
        }
        if let Some(wanted) = wanted.filter.kind {
            add(kind, &format!("eq.{}", wanted.as_str()));
        }
        if let Some(from) = &wanted.filter.from {
            add(posted_at, &format!("gte.{from}"));
        }
        // The last day counts as a whole, also where the column holds the time of day.
        if let Some(after) = wanted.filter.to.as_deref().and_then(next_day) {
            add(posted_at, &format!("lt.{after}"));
        }
        if let Some(text) = &wanted.filter.text {
            add(title, &format!("ilike.*{}*", pattern(text)));
        }
        if let Some(after) = &wanted.after {
            // Says nothing new, but is a range that an index begins at; the `or` alone is none.
            add(posted_at, &format!("lte.{}", after.at));
            let at = quote(&after.at);
            let last = quote(&after.id);
            add("or", &format!("({posted_at}.lt.{at},and({posted_at}.eq.{at},{id}.lt.{last}))"));
        }
        let mut request = Request::get(url, self.timeout_ms);
        let last = (size * wanted.pages).saturating_sub(1);
        request.headers.extend([
            ("prefer", "count=exact".to_owned()),
            ("range-unit", "items".to_owned()),
            ("range", format!("0-{last}")),
        ]);
        request
    }

    /// Reads what the project answered: the rows that can be shown, and how many cannot.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]: whether to try again, and what to say to whom.
    pub fn read(
        &self,
        wanted: &Wanted,
        size: usize,
        answer: Result<Response, HttpError>,
    ) -> Result<(Part, Unreadable), RemoteError> {
        answer::read(&self.columns, wanted, size, answer)
    }
}

/// The names of the table and its columns.
fn names(get: impl Fn(&str) -> Option<String>) -> Result<(String, Columns), String> {
    let table = get("supabase_table").unwrap_or_else(|| "content".to_owned());
    if !is_name(&table) {
        return Err(format!("`supabase_table` in content.toml: {}", columns::RULE));
    }
    Ok((table, Columns::from(get("supabase_columns").as_deref())?))
}

/// PostgREST takes reserved characters in a value inside double quotes, with `\` before `"` and `\`.
fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text inside an `ilike` pattern. PostgREST has no way to write a `*` that is only a star, so it stands for any one
/// letter.
fn pattern(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "_")
}

#[cfg(test)]
mod tests;
