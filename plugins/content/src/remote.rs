//! A Supabase project as the source, through PostgREST's query language. No I/O of its own: it builds the request and
//! reads the answer. The keys travel in headers that the host adds.
//!
//! Pages are cut by key (`or=(posted_at.lt.…,and(posted_at.eq.…,id.lt.…))`), not by offset, so that added rows shift
//! nothing; `Prefer: count=exact` gives the total in `Content-Range`.

use kit::http::{HttpError, Response, encode};
use kit::text::{clean, web_address};
use serde::Deserialize;

use crate::page::Loaded;
use crate::params::Wanted;
use crate::source::{Item, Kind, is_date};

/// Where the project is and what its table is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    base: String,
    table: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing there.
    NotFound(String),
    /// The operator has to change something.
    Fatal(String),
    /// It may work later.
    Later {
        /// What to tell.
        reason: String,
        /// How long we are asked to wait.
        after_ms: Option<u64>,
    },
}

impl Remote {
    /// The project in the settings; none when there is none.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    pub fn from(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let Some(base) = get("supabase_url") else { return Ok(None) };
        if !web_address(&base) {
            return Err(
                "`supabase_url` in content.toml must begin with https:// or http://".to_owned()
            );
        }
        let table = get("supabase_table").unwrap_or_else(|| "content".to_owned());
        let valid = !table.is_empty()
            && table.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return Err("`supabase_table` in content.toml takes letters, digits and `_`".to_owned());
        }
        Ok(Some(Self { base: base.trim_end_matches('/').to_owned(), table }))
    }

    /// The address of the wanted pages.
    pub fn request_url(&self, wanted: &Wanted, size: usize) -> String {
        let mut url = format!(
            "{}/rest/v1/{}?select=id,title,url,type,posted_at&order=posted_at.desc,id.desc&limit={}",
            self.base,
            self.table,
            size * wanted.pages + 1 // One more tells whether there is a next page.
        );
        let mut add = |name: &str, value: &str| {
            url.push_str(&format!("&{name}={}", encode(value)));
        };
        match &wanted.creator_url {
            Some(creator) => add("creator_url", &format!("eq.{creator}")),
            None => add("creator_name", &format!("eq.{}", wanted.creator_name)),
        }
        if let Some(kind) = wanted.filter.kind {
            add("type", &format!("eq.{}", kind.as_str()));
        }
        if let Some(from) = &wanted.filter.from {
            add("posted_at", &format!("gte.{from}"));
        }
        if let Some(to) = &wanted.filter.to {
            add("posted_at", &format!("lte.{to}"));
        }
        if let Some(text) = &wanted.filter.text {
            add("title", &format!("ilike.*{}*", text.replace(['*', '%', '_', '\\'], " ")));
        }
        if let Some(after) = &wanted.after {
            let id = quote(&after.id);
            let date = &after.date;
            add("or", &format!("(posted_at.lt.{date},and(posted_at.eq.{date},id.lt.{id}))"));
        }
        url
    }
}

/// PostgREST takes reserved characters in a value inside double quotes, with `\` before `"` and `\`.
fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[derive(Debug, Deserialize)]
struct RemoteItem {
    id: serde_json::Value,
    #[serde(default)]
    title: Option<String>,
    url: String,
    #[serde(rename = "type")]
    kind: String,
    posted_at: String,
}

/// Reads what the project answered.
///
/// # Errors
///
/// [`Trouble`]: whether to try again, and what to say.
pub fn read_answer(
    wanted: &Wanted,
    size: usize,
    answer: Result<Response, HttpError>,
) -> Result<Loaded, Trouble> {
    let response = answer.map_err(|error| match error {
        HttpError::Denied => Trouble::Fatal(
            "the content source may not be reached: add its address to `net` in content.toml"
                .to_owned(),
        ),
        HttpError::Address => Trouble::Fatal("`supabase_url` is not a usable address".to_owned()),
        HttpError::TooLarge => {
            Trouble::Fatal("the content source answered too much at once".to_owned())
        }
        HttpError::Timeout | HttpError::Unreachable => {
            later("the content source does not answer", None)
        }
    })?;
    match response.status {
        200 | 206 => {}
        401 | 403 => return Err(Trouble::Fatal("the content source refused our key".to_owned())),
        404 => return Err(Trouble::Fatal("the content source has no such table".to_owned())),
        429 => return Err(later("the content source is busy", response.retry_after_ms())),
        500.. => return Err(later("the content source has trouble", None)),
        other => {
            return Err(Trouble::Fatal(format!("the content source answered with status {other}")));
        }
    }
    let rows: Vec<RemoteItem> = serde_json::from_slice(&response.body).map_err(|error| {
        Trouble::Fatal(format!("the content source's answer cannot be read: {error}"))
    })?;
    let (more, any) = (size * wanted.pages < rows.len(), !rows.is_empty());
    let items: Vec<Item> =
        rows.into_iter().take(size * wanted.pages).filter_map(read_item).collect();
    if any && items.is_empty() {
        return Err(Trouble::Fatal(
            "none of the content source's rows has an http(s) `url`, a known `type` and a date in `posted_at`"
                .to_owned(),
        ));
    }
    let total = response.header("content-range").and_then(total_of).unwrap_or(items.len());
    if items.is_empty()
        && wanted.after.is_none()
        && wanted.filter == crate::filter::Filter::default()
    {
        return Err(Trouble::NotFound(format!("there is no content for {}", wanted.creator_name)));
    }
    // With a cursor the count covers only what is left; what came before is known from the cursor's pages.
    let before = wanted.after.as_ref().map_or(0, |after| after.pages * size);
    Ok(Loaded::new(wanted, items, before + total, size, more))
}

/// The total in `0-9/57`.
fn total_of(range: &str) -> Option<usize> {
    range.rsplit_once('/')?.1.parse().ok()
}

fn read_item(row: RemoteItem) -> Option<Item> {
    let date = row.posted_at.get(..10).filter(|date| is_date(date))?.to_owned();
    if !web_address(&row.url) {
        return None;
    }
    let id = match row.id {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let title = clean(&row.title.unwrap_or_default(), 160);
    let title = if title.is_empty() { "Untitled".to_owned() } else { title };
    Some(Item { id, title, url: row.url, kind: Kind::parse(&row.kind)?, date })
}

fn later(reason: &str, after_ms: Option<u64>) -> Trouble {
    Trouble::Later { reason: reason.to_owned(), after_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Cursor;
    use crate::filter::Filter;

    fn remote() -> Remote {
        Remote::from(|key| (key == "supabase_url").then(|| "https://project.example/".to_owned()))
            .unwrap()
            .unwrap()
    }

    fn wanted() -> Wanted {
        Wanted {
            creator_name: "A".to_owned(),
            creator_url: Some("https://c.example/a".to_owned()),
            filter: Filter::default(),
            after: None,
            pages: 1,
        }
    }

    fn answer(status: u16, range: &str, body: &str) -> Result<Response, HttpError> {
        let headers = vec![("content-range".to_owned(), range.to_owned())];
        Ok(Response { status, headers, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn a_request_is_postgrests_query_language() {
        let mut wanted = wanted();
        wanted.filter.kind = Some(Kind::Video);
        wanted.after = Some(Cursor { date: "2026-01-02".to_owned(), id: "7".to_owned(), pages: 1 });
        let url = remote().request_url(&wanted, 10);
        assert!(url.starts_with(
            "https://project.example/rest/v1/content?select=id,title,url,type,posted_at"
        ));
        assert!(url.contains("&creator_url=eq.https%3A%2F%2Fc.example%2Fa"), "{url}");
        assert!(url.contains("&type=eq.video"), "{url}");
        assert!(url.contains("&limit=11"), "{url}");
        let keyset = encode("(posted_at.lt.2026-01-02,and(posted_at.eq.2026-01-02,id.lt.\"7\"))");
        assert!(url.contains(&format!("&or={keyset}")), "{url}");
    }

    #[test]
    fn rows_and_the_total_become_a_page() {
        let body = r#"[{"id":3,"title":"T","url":"https://m.example/3","type":"video","posted_at":"2026-01-02T00:00:00"},
                       {"id":2,"title":null,"url":"https://m.example/2","type":"picture","posted_at":"2026-01-01"}]"#;
        let loaded = read_answer(&wanted(), 1, answer(206, "0-1/57", body)).unwrap();
        assert_eq!((loaded.items.len(), loaded.total_items, loaded.total_pages), (1, 57, 57));
        assert_eq!(loaded.next.unwrap().id, "3");
    }

    #[test]
    fn each_trouble_is_final_or_for_later() {
        let read = |answer| read_answer(&wanted(), 10, answer).unwrap_err();
        assert!(
            matches!(read(answer(401, "", "")), Trouble::Fatal(reason) if reason.contains("key"))
        );
        assert!(
            matches!(read(answer(404, "", "")), Trouble::Fatal(reason) if reason.contains("table"))
        );
        assert!(matches!(read(answer(500, "", "")), Trouble::Later { .. }));
        assert!(matches!(read(answer(200, "", "[{")), Trouble::Fatal(_)));
        assert!(matches!(read(answer(200, "*/0", "[]")), Trouble::NotFound(_)));
        let strange =
            r#"[{"id":1,"url":"https://m.example/1","type":"song","posted_at":"2026-01-01"}]"#;
        assert!(
            matches!(read(answer(200, "0-0/1", strange)), Trouble::Fatal(reason) if reason.contains("rows"))
        );
        assert!(matches!(read(Err(HttpError::Timeout)), Trouble::Later { .. }));
    }
}
