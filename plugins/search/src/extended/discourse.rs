//! Discourse: `GET /search.json?q=…&page=…` (docs.discourse.org, "Search for a term") with `Api-Key` and
//! `Api-Username`.

use freefans_plugin::http::encode;
use kit::json::{Object, Unreadable};
use serde_json::value::RawValue;
use unicode_normalization::char::is_combining_mark;

use super::error::{self, ForumError};
use super::forum::Forum;
use super::page::{Hit, Page};
use super::settings::Settings;
use crate::params::ExtendedRequest;

/// Discourse refuses pages after this one (`PAGE_LIMIT` of its `SearchController`), although it announces more there.
const LAST_PAGE: u64 = 10;

pub(super) fn search(forum: &mut Forum<'_>, request: &ExtendedRequest) -> Result<Page, ForumError> {
    if request.page > LAST_PAGE {
        return Ok(Page::default());
    }
    let words = encode(&plain_words(&request.query));
    let asked = forum.get(&format!("/search.json?q={words}&page={}", request.page));
    let body = error::body(forum.ask(asked))?;
    let found = body.object()?;
    // Posts only give the snippets: a topic is shown without one too.
    let posts = found.list("posts").unwrap_or_default();
    let posts: Vec<Object<'_>> =
        posts.iter().filter_map(|post| Object::read(post.get()).ok()).collect();
    let grouped = found.object("grouped_search_result");
    let more = grouped.and_then(|grouped| grouped.get("more_full_page_results")).unwrap_or(false);
    let mut unreadable = Unreadable::default();
    let topics = error::list(&found, "topics")?.into_iter();
    let hits = topics.filter_map(|topic| unreadable.keep(hit(forum.settings, topic, &posts)));
    Ok(Page { hits: hits.collect(), more: more && request.page < LAST_PAGE, unreadable })
}

/// The words of a query without search operators (`in:messages`, `@user`, `#category`, quotes): the forum would apply
/// them with the rights of the operator's key.
pub(super) fn plain_words(query: &str) -> String {
    let word = |letter: char| match letter {
        '\'' | '-' => letter,
        _ if letter.is_alphanumeric() || is_combining_mark(letter) => letter,
        _ => ' ',
    };
    let words: String = query.chars().map(word).collect();
    words.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hit(settings: &Settings, topic: &RawValue, posts: &[Object<'_>]) -> Result<Hit, &'static str> {
    let topic = Object::read(topic.get()).map_err(|_other| "no object")?;
    let id = topic.number("id").ok_or("no `id` that is a number")?;
    let title = topic.get("title").or_else(|| topic.get("fancy_title")).ok_or("no `title`")?;
    let slug: String = topic.get("slug").unwrap_or_default();
    let slug = if slug.is_empty() { "-".to_owned() } else { encode(&slug) };
    let post = posts.iter().find(|post| post.number("topic_id") == Some(id));
    Ok(Hit {
        url: settings.base.at(&format!("/t/{slug}/{id}")),
        title,
        replies: topic.number("posts_count").unwrap_or_default().saturating_sub(1),
        date: topic.get::<String>("created_at").and_then(|date| day(&date)),
        snippet: post.and_then(|post| post.get("blurb")).unwrap_or_default(),
        thumbnail: topic.get("image_url"),
    })
}

/// The day of a moment like `2026-01-02T03:04:05Z`.
fn day(moment: &str) -> Option<String> {
    let day = moment.get(..10)?;
    let is_of_day = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    day.bytes().enumerate().all(is_of_day).then(|| day.to_owned())
}
