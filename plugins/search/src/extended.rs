//! The extended search: the operator's forum through its software's official REST API. No I/O of its own: it builds
//! the request and reads the answer.
//!
//! Discourse: `GET /search.json?q=…&page=…` (docs.discourse.org, "Search for a term"). The key travels in headers that
//! the host adds.

use kit::http::{HttpError, Response, encode};
use kit::text::clean;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::params::ExtendedRequest;

/// Where the forum is and which software it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    base: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The operator has to change something.
    Fatal(String),
    /// It may work later.
    Later {
        /// What to tell.
        reason: String,
        /// How long the forum asks us to wait.
        after_ms: Option<u64>,
    },
}

impl Settings {
    /// Reads the settings through `get`.
    ///
    /// # Errors
    ///
    /// What to set, as a sentence.
    pub fn from(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let Some(base) = get("extended_search_url") else {
            return Err("not configured: set `extended_search_url` in search.toml and grant its address with \
                        `net = [\"https://…\"]`"
                .to_owned());
        };
        match get("extended_search_kind").as_deref() {
            None | Some("discourse") => {}
            Some(other) => {
                return Err(format!(
                    "`extended_search_kind = \"{other}\"` is not supported yet: use `discourse`"
                ));
            }
        }
        if !kit::text::web_address(&base) {
            return Err("`extended_search_url` in search.toml must begin with https:// or http://"
                .to_owned());
        }
        Ok(Self { base: base.trim_end_matches('/').to_owned() })
    }

    /// The address of one page of results.
    pub fn request_url(&self, request: &ExtendedRequest) -> String {
        format!("{}/search.json?q={}&page={}", self.base, encode(&request.query), request.page)
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(default)]
    topics: Vec<Topic>,
    #[serde(default)]
    posts: Vec<Post>,
}

#[derive(Debug, Deserialize)]
struct Topic {
    id: u64,
    title: String,
    #[serde(default)]
    slug: String,
    #[serde(default)]
    posts_count: u64,
    #[serde(default)]
    created_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Post {
    topic_id: u64,
    #[serde(default)]
    blurb: String,
}

/// Reads what the forum answered.
///
/// # Errors
///
/// [`Ask`]: whether to try again, and what to say.
pub fn read_answer(
    settings: &Settings,
    request: &ExtendedRequest,
    answer: Result<Response, HttpError>,
) -> Result<Value, Ask> {
    let response = answer.map_err(|error| match error {
        HttpError::Denied => Ask::Fatal(
            "the extended search may not reach its address: add it to `net` in search.toml"
                .to_owned(),
        ),
        HttpError::Address => {
            Ask::Fatal("`extended_search_url` is not a usable address".to_owned())
        }
        HttpError::TooLarge => {
            Ask::Fatal("the extended search answered too much at once".to_owned())
        }
        HttpError::Timeout | HttpError::Unreachable => {
            later("the extended search does not answer", None)
        }
    })?;
    match response.status {
        200 => {}
        401 | 403 => return Err(Ask::Fatal("the extended search refused our key".to_owned())),
        429 => return Err(later("the extended search is busy", response.retry_after_ms())),
        500.. => return Err(later("the extended search has trouble", None)),
        other => {
            return Err(Ask::Fatal(format!("the extended search answered with status {other}")));
        }
    }
    let found: Found = serde_json::from_slice(&response.body).map_err(|error| {
        Ask::Fatal(format!("the extended search's answer cannot be read: {error}"))
    })?;
    let creators: Vec<Value> =
        found.topics.iter().map(|topic| hit(settings, topic, &found.posts)).collect();
    Ok(json!({
        "query": request.query,
        "creators": creators,
        "exact_match": false,
        "fuzzy_match": !creators.is_empty(),
        "source": "simpcity",
        "page": request.page,
    }))
}

fn hit(settings: &Settings, topic: &Topic, posts: &[Post]) -> Value {
    let slug = if topic.slug.is_empty() { "-".to_owned() } else { encode(&topic.slug) };
    let snippet = posts
        .iter()
        .find(|post| post.topic_id == topic.id)
        .map(|post| clean(&post.blurb, 200))
        .unwrap_or_default();
    json!({
        "name": clean(&topic.title, 120),
        "url": format!("{}/t/{slug}/{}", settings.base, topic.id),
        "source": "simpcity",
        "score": 0.0,
        "replies": topic.posts_count.saturating_sub(1),
        "date": topic.created_at.as_deref().and_then(|date| date.get(..10)),
        "snippet": snippet,
    })
}

fn later(reason: &str, after_ms: Option<u64>) -> Ask {
    Ask::Later { reason: reason.to_owned(), after_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::from(|key| {
            (key == "extended_search_url").then(|| "https://forum.example/".to_owned())
        })
        .unwrap()
    }

    fn request() -> ExtendedRequest {
        ExtendedRequest { query: "luna & co".to_owned(), page: 2 }
    }

    fn answer(status: u16, body: &str) -> Result<Response, HttpError> {
        let headers = vec![("retry-after".to_owned(), "7".to_owned())];
        Ok(Response { status, headers, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn without_an_address_it_says_what_to_set() {
        let error = Settings::from(|_| None).unwrap_err();
        assert!(error.starts_with("not configured: set `extended_search_url`"), "{error}");
    }

    #[test]
    fn the_query_is_encoded() {
        assert_eq!(
            settings().request_url(&request()),
            "https://forum.example/search.json?q=luna%20%26%20co&page=2"
        );
    }

    #[test]
    fn topics_become_hits_with_their_snippets() {
        let body = r#"{"topics":[{"id":7,"title":"Luna's corner","slug":"lunas-corner","posts_count":12,"created_at":"2026-01-02T03:04:05Z"}],
                       "posts":[{"topic_id":7,"blurb":"All about\nLuna"}]}"#;
        let data = read_answer(&settings(), &request(), answer(200, body)).unwrap();
        let hit = &data["creators"][0];
        assert_eq!(hit["url"], "https://forum.example/t/lunas-corner/7");
        assert_eq!(hit["replies"], 11);
        assert_eq!(hit["date"], "2026-01-02");
        assert_eq!(hit["snippet"], "All about Luna");
    }

    #[test]
    fn each_trouble_is_final_or_for_later() {
        let read = |answer| read_answer(&settings(), &request(), answer).unwrap_err();
        assert!(matches!(read(answer(403, "")), Ask::Fatal(reason) if reason.contains("key")));
        assert!(matches!(read(answer(429, "")), Ask::Later { after_ms: Some(7_000), .. }));
        assert!(matches!(read(answer(503, "")), Ask::Later { .. }));
        assert!(matches!(read(answer(200, "{\"topics\": [")), Ask::Fatal(_)));
        assert!(matches!(read(Err(HttpError::Timeout)), Ask::Later { .. }));
        assert!(
            matches!(read(Err(HttpError::Denied)), Ask::Fatal(reason) if reason.contains("net"))
        );
    }
}
