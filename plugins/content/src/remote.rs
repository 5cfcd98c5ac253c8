//! A Supabase project as the source, through PostgREST's query language. This builds the request and reads the answer,
//! without I/O. The host adds the headers with the keys.
//!
//! Pages are requested by key (`or=(posted_at.lt.…,and(posted_at.eq.…,id.lt.…))`), not by offset, so that added or
//! removed rows do not shift them. `Prefer: count=exact` returns the total in `Content-Range`. It tells whether there is
//! more, even when the project returns fewer rows than requested (`db-max-rows`).
//!
//! Several pages are one request with a wider `Range`. Separate requests would need offsets, because the start of a page
//! is known only when the one before is complete.

mod answer;
mod columns;
mod error;

use freefans_plugin::http::{HttpError, Request, Response, encode};
use kit::address::Base;
use kit::json::Unreadable;
use kit::settings::whole_or_default;

use crate::day::next_day;
use crate::page::Part;
use crate::params::Wanted;
use columns::{Columns, is_name};
pub use error::RemoteError;

const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// Leaves some of a task's 30 s (`wall_ms`) for its own work.
const MAX_TIMEOUT_SECONDS: u32 = 25;
const DEFAULT_CACHE_SECONDS: u32 = 300;
/// The path of PostgREST in a project.
const API: &str = "/rest/v1";
/// One day.
const MAX_CACHE_SECONDS: u32 = 86_400;

/// Address and table of the project, how long to wait, and how long to cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    base: Base,
    table: String,
    columns: Columns,
    timeout_ms: u32,
    /// How long pages are cached, in seconds; 0 turns caching off.
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
    /// No project: the local table is used.
    Local,
    /// A project.
    Remote(Box<Remote>),
    /// Its address cannot be used. The local table does not replace it, because nobody would notice the difference.
    Unusable(String),
}

impl Remote {
    /// The project in the settings. Small mistakes only add to `remarks`: a wrong number, or names without a project.
    ///
    /// # Errors
    ///
    /// What is wrong with the names of the table and its columns, if there is a project. The version in force then keeps
    /// running.
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
            // Some people copy the address with the path that requests add.
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
        // The last day is included, even if the column has a time of day.
        if let Some(after) = wanted.filter.to.as_deref().and_then(next_day) {
            add(posted_at, &format!("lt.{after}"));
        }
        if let Some(text) = &wanted.filter.text {
            add(title, &format!("ilike.*{}*", pattern(text)));
        }
        if let Some(after) = &wanted.after {
            // Redundant, but an index can use it as the start of a range; it cannot use the `or`.
            add(posted_at, &format!("lte.{}", after.at));
            let at = quote(&after.at);
            let last = quote(&after.id);
            add("or", &format!("({posted_at}.lt.{at},and({posted_at}.eq.{at},{id}.lt.{last}))"));
        }
        let mut request = Request::get(url).timeout_ms(self.timeout_ms);
        let last = (size * wanted.pages).saturating_sub(1);
        request.headers.extend([
            ("prefer", "count=exact".to_owned()),
            ("range-unit", "items".to_owned()),
            ("range", format!("0-{last}")),
        ]);
        request
    }

    /// Reads the answer: the rows that can be shown, and how many cannot.
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

/// Quotes a value: PostgREST accepts reserved characters inside double quotes, with `\` before `"` and `\`.
fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Escapes a text for an `ilike` pattern. PostgREST cannot escape `*`, so it becomes `_`, which matches any letter.
fn pattern(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "_")
}

#[cfg(test)]
mod tests;
