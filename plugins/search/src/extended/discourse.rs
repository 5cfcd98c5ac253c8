//! Discourse: `GET /search.json?q=…&page=…` (docs.discourse.org, "Search for a term") with `Api-Key` and
//! `Api-Username`.

use kit::http::encode;
use serde::Deserialize;
use unicode_normalization::char::is_combining_mark;

use super::{Ask, Forum, Hit, Page, Settings, trouble};
use crate::params::ExtendedRequest;

/// Discourse refuses pages behind this one (`PAGE_LIMIT` of its `SearchController`), and says "more" on it all the same.
const LAST_PAGE: u64 = 10;

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(default)]
    topics: Vec<Topic>,
    #[serde(default)]
    posts: Vec<Post>,
    #[serde(default)]
    grouped_search_result: Option<Grouped>,
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
    #[serde(default)]
    image_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Post {
    topic_id: u64,
    #[serde(default)]
    blurb: String,
}

#[derive(Debug, Deserialize)]
struct Grouped {
    #[serde(default)]
    more_full_page_results: Option<bool>,
}

pub(super) fn search(forum: &mut Forum<'_>, request: &ExtendedRequest) -> Result<Page, Ask> {
    if LAST_PAGE < request.page {
        return Ok(Page::default());
    }
    let words = encode(&plain_words(&request.query));
    let asked = forum.get(&format!("/search.json?q={words}&page={}", request.page));
    let found: Found = trouble::read(forum.ask(asked))?;
    let more = found.grouped_search_result.and_then(|grouped| grouped.more_full_page_results);
    let hit = |topic| hit(forum.settings, topic, &found.posts);
    let hits = found.topics.into_iter().map(hit).collect();
    Ok(Page { hits, more: more.unwrap_or(false) && request.page < LAST_PAGE })
}

/// The words of a query without what the forum reads as orders: `in:messages`, `@user`, `#category`, quotes. It carries
/// them out with the rights of the operator's key.
pub(super) fn plain_words(query: &str) -> String {
    let word = |letter: char| match letter {
        '\'' | '-' => letter,
        _ if letter.is_alphanumeric() || is_combining_mark(letter) => letter,
        _ => ' ',
    };
    let words: String = query.chars().map(word).collect();
    words.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hit(settings: &Settings, topic: Topic, posts: &[Post]) -> Hit {
    let slug = if topic.slug.is_empty() { "-".to_owned() } else { encode(&topic.slug) };
    let post = posts.iter().find(|post| post.topic_id == topic.id);
    // An image of the forum's own comes without the host.
    let thumbnail = topic.image_url.map(|image| match image.strip_prefix('/') {
        Some(path) if !path.starts_with('/') => format!("{}/{path}", settings.base),
        _ => image,
    });
    Hit {
        url: format!("{}/t/{slug}/{}", settings.base, topic.id),
        title: topic.title,
        replies: topic.posts_count.saturating_sub(1),
        date: topic.created_at.as_deref().and_then(|date| date.get(..10)).map(str::to_owned),
        snippet: post.map(|post| post.blurb.clone()).unwrap_or_default(),
        thumbnail,
    }
}
