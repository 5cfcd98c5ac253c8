//! Creators to choose from, as a session keeps them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sanitize::{clean, is_web_url, text_field};

/// Creators on one page of a chat message: each has a button.
pub const PAGE_CREATORS: usize = 10;
/// Creators kept of one result set.
const KEEP_CREATORS: usize = 50;
/// Texts and addresses kept of one result set or content view, in bytes: a session is read with each message.
pub(super) const KEEP_BYTES: usize = 96 << 10;
/// Most pages of a forum's results.
const FORUM_PAGES: u64 = 100;

/// A creator as shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Creator {
    /// The name.
    pub name: String,
    /// The creator's page.
    pub url: String,
    /// Other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How many items there are.
    #[serde(default)]
    pub item_count: Option<u64>,
    /// Answers in the forum.
    #[serde(default)]
    pub replies: Option<u64>,
    /// A quote from the forum.
    #[serde(default)]
    pub snippet: Option<String>,
}

impl Creator {
    fn bytes(&self) -> usize {
        let aliases: usize = self.aliases.iter().map(String::len).sum();
        let snippet = self.snippet.as_ref().map_or(0, String::len);
        self.name.len() + self.url.len() + aliases + snippet
    }

    /// Reads one creator of a plugin's answer; none without name or address.
    fn read(value: &Value) -> Option<Self> {
        let url = text_field(value, "url").filter(|url| is_web_url(url))?.to_owned();
        let aliases = value.get("aliases").and_then(Value::as_array);
        Some(Self {
            name: Some(clean(text_field(value, "name")?, 120)).filter(|name| !name.is_empty())?,
            url,
            aliases: aliases
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|alias| clean(alias, 60))
                .filter(|alias| !alias.is_empty())
                .take(5)
                .collect(),
            item_count: value.get("item_count").and_then(Value::as_u64),
            replies: value.get("replies").and_then(Value::as_u64),
            snippet: text_field(value, "snippet").map(|text| clean(text, 200)),
        })
    }
}

/// Creators to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResultSet {
    /// Its name in buttons.
    pub view: String,
    /// What was asked.
    pub query: String,
    /// Who was found.
    pub creators: Vec<Creator>,
    /// Whether one of them has exactly this name.
    #[serde(default)]
    pub exact: bool,
    /// For results of the forum: the result set that they were asked from.
    #[serde(default)]
    pub extended_from: Option<String>,
    /// Whether it holds one random creator.
    #[serde(default)]
    pub random: bool,
    /// The page that is shown, from 0.
    #[serde(default)]
    pub page: usize,
    /// The forum's page, from 1; 0 when it is not the forum's.
    #[serde(default)]
    pub forum_page: u64,
    /// Whether the forum has another page.
    #[serde(default)]
    pub has_more: bool,
}

impl ResultSet {
    /// Reads a search's data. Invalid creators, and those above the limits, are left out.
    pub fn read(view: String, query: String, data: &Value) -> Self {
        let creators = data.get("creators").and_then(Value::as_array);
        Self {
            view,
            query,
            creators: creators
                .into_iter()
                .flatten()
                .filter_map(Creator::read)
                .take(KEEP_CREATORS)
                .scan(KEEP_BYTES, |room, creator| {
                    *room = room.checked_sub(creator.bytes())?;
                    Some(creator)
                })
                .collect(),
            exact: data.get("exact_match").and_then(Value::as_bool).unwrap_or(false),
            ..Self::default()
        }
    }

    /// Reads the data of one page of the forum's results.
    pub fn read_forum(view: String, query: String, data: &Value, from: String, page: u64) -> Self {
        let more = data.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        Self {
            extended_from: Some(from),
            forum_page: page.max(1),
            has_more: more && page < FORUM_PAGES,
            ..Self::read(view, query, data)
        }
    }

    /// The last page, from 0.
    pub fn last_page(&self) -> usize {
        self.creators.len().div_ceil(PAGE_CREATORS).saturating_sub(1)
    }

    /// Reads a random pick's data; none when it has no creator.
    pub fn read_random(view: String, data: &Value) -> Option<Self> {
        let url = text_field(data, "creator_url").filter(|url| is_web_url(url))?.to_owned();
        let creator = Creator {
            name: Some(clean(text_field(data, "creator_name")?, 120))
                .filter(|name| !name.is_empty())?,
            url,
            item_count: data.get("item_count").and_then(Value::as_u64),
            ..Creator::default()
        };
        Some(Self { view, creators: vec![creator], random: true, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn odd_data_from_a_plugin_is_left_out() {
        let data = json!({"creators": [
            {"name": "A", "url": "javascript:x"}, {"name": 7}, null, "x", {"url": "https://c.example"},
            {"name": "\u{200b}", "url": "https://c.example/h"},
            {"name": "Good", "url": "https://c.example/g", "aliases": ["a", 1, "\u{200b}"]},
        ]});
        let set = ResultSet::read("ab".to_owned(), "q".to_owned(), &data);
        assert_eq!(set.creators.len(), 1);
        assert_eq!(set.creators[0].aliases, ["a"]);
        for odd in [json!(null), json!([]), json!({"creators": 1})] {
            assert!(ResultSet::read(String::new(), String::new(), &odd).creators.is_empty());
        }
    }
}
