//! Parses the params JSON into checked requests.

use serde_json::{Map, Value};

use crate::cursor::Cursor;
use crate::descriptor::{DEFAULT_PAGES, MAX_PAGES};
use crate::filter::Filter;

/// Which items of which creator, starting where, and how many pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name to show.
    pub creator_name: String,
    /// The creator's page.
    pub creator_url: Option<String>,
    /// Which items.
    pub filter: Filter,
    /// The last item that was loaded; none for the first page.
    pub after: Option<Cursor>,
    /// Pages to load.
    pub pages: usize,
}

/// `load_content`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRequest {
    /// What to load.
    pub wanted: Wanted,
    /// Answer only from the cache.
    pub cache_only: bool,
}

/// `load_more_pages`.
#[derive(Debug, Clone, PartialEq)]
pub struct MoreRequest {
    /// What to load.
    pub wanted: Wanted,
    /// Items of `current_content`, which come before the new ones in the answer.
    pub before: Vec<Value>,
}

impl LoadRequest {
    /// Reads the params.
    ///
    /// # Errors
    ///
    /// A sentence for the person.
    pub fn parse(params: &str) -> Result<Self, String> {
        let params = object(params)?;
        let mut wanted = wanted(&params)?;
        if wanted.creator_url.is_none() {
            return Err("`creator_url` is missing".to_owned());
        }
        wanted.pages = 1;
        let cache_only = params.get("cache_only").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { wanted, cache_only })
    }
}

impl MoreRequest {
    /// Reads the params: where to go on is a `cursor`, or the cursor inside `current_content`.
    ///
    /// # Errors
    ///
    /// A sentence for the person.
    pub fn parse(params: &str) -> Result<Self, String> {
        let params = object(params)?;
        let mut wanted = wanted(&params)?;
        let current = params.get("current_content").and_then(Value::as_object);
        let inside = current.map(|current| {
            // The whole answer of an earlier task is understood as well as its directory.
            current.get("content_directory").and_then(Value::as_object).unwrap_or(current)
        });
        let text = match params.get("cursor").and_then(Value::as_str) {
            Some(text) => text,
            None => inside
                .and_then(|inside| inside.get("cursor"))
                .and_then(Value::as_str)
                .ok_or("`cursor` is missing: it is in the answer that was loaded before")?,
        };
        wanted.after = Some(Cursor::decode(text).ok_or("`cursor` is not one of ours")?);
        let before = inside
            .and_then(|inside| inside.get("items"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        Ok(Self { wanted, before })
    }
}

fn object(params: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(params) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the params must be a JSON object".to_owned()),
        Err(error) => Err(format!("the params are not JSON: {error}")),
    }
}

fn wanted(params: &Map<String, Value>) -> Result<Wanted, String> {
    let text = |key: &str| params.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let creator_name = text("creator_name").ok_or("`creator_name` is missing")?;
    let creator_url = text("creator_url");
    if creator_url.is_some_and(|url| !freefans_plugin::text::web_address(url)) {
        return Err("`creator_url` must begin with https:// or http://".to_owned());
    }
    let pages = match params.get("pages_to_fetch") {
        None | Some(Value::Null) => DEFAULT_PAGES,
        Some(pages) => pages
            .as_u64()
            .and_then(|pages| usize::try_from(pages).ok())
            .filter(|pages| (1..=MAX_PAGES).contains(pages))
            .ok_or_else(|| format!("`pages_to_fetch` must be 1 to {MAX_PAGES}"))?,
    };
    Ok(Wanted {
        creator_name: freefans_plugin::text::clean(creator_name, 200),
        creator_url: creator_url.map(str::to_owned),
        filter: Filter::parse(params.get("filters"))?,
        after: None,
        pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> String {
        let at = "2026-01-02".to_owned();
        let id = "x".to_owned();
        Cursor { at, id, shown: 10 }.encode().unwrap()
    }

    #[test]
    fn a_first_page_names_the_creator() {
        let request =
            LoadRequest::parse(r#"{"creator_name":"Luna","creator_url":"https://c.example/l"}"#)
                .unwrap();
        assert_eq!(request.wanted.pages, 1);
        assert!(
            LoadRequest::parse(r#"{"creator_name":"Luna"}"#).unwrap_err().contains("creator_url")
        );
    }

    #[test]
    fn more_pages_go_on_from_a_cursor_or_from_the_content_itself() {
        let by_cursor =
            format!(r#"{{"creator_name":"L","cursor":"{}","pages_to_fetch":2}}"#, cursor());
        let request = MoreRequest::parse(&by_cursor).unwrap();
        assert_eq!((request.wanted.pages, request.before.len()), (2, 0));
        let by_content = format!(
            r#"{{"creator_name":"L","current_content":{{"items":[1,2],"cursor":"{}"}}}}"#,
            cursor()
        );
        let request = MoreRequest::parse(&by_content).unwrap();
        assert_eq!((request.wanted.pages, request.before.len()), (3, 2));
    }

    #[test]
    fn a_bad_request_for_more_has_its_sentence() {
        for (params, part) in [
            (r#"{"creator_name":"L"}"#, "`cursor` is missing"),
            (r#"{"creator_name":"L","cursor":"zz"}"#, "not one of ours"),
            (r#"{"creator_name":"L","cursor":"zz","pages_to_fetch":11}"#, "1 to 10"),
            (r#"{"cursor":"zz"}"#, "creator_name"),
            (r#"{"creator_name":"L","creator_url":"a\u0000"}"#, "https://"),
        ] {
            let error = MoreRequest::parse(params).unwrap_err();
            assert!(error.contains(part), "{params}: {error}");
        }
    }
}
