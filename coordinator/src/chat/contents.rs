//! A creator's items, as far as they are loaded.

use chat_commands::media::MediaKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filter::Filter;
use super::results::{Creator, KEEP_BYTES};
use super::sanitize::{clean, is_web_url, text_field};

/// Items on one page of a chat message.
pub const PAGE_ITEMS: usize = 10;
/// Items kept of one content view.
const KEEP_ITEMS: usize = 300;

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// Its title; may be empty.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// When it was posted.
    pub date: String,
    /// Picture or video.
    #[serde(rename = "video")]
    pub kind: MediaKind,
}

impl Item {
    fn bytes(&self) -> usize {
        self.id.len() + self.title.len() + self.url.len() + self.date.len()
    }

    fn read(value: &Value) -> Option<Self> {
        let url = text_field(value, "url").filter(|url| is_web_url(url))?.to_owned();
        Some(Self {
            id: clean(text_field(value, "id").unwrap_or(&url), 300),
            title: clean(text_field(value, "title").unwrap_or(""), 120),
            date: clean(text_field(value, "date").unwrap_or(""), 10),
            kind: MediaKind::from(text_field(value, "type") == Some("video")),
            url,
        })
    }
}

/// A creator's items as far as they are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContentView {
    /// Its name in buttons.
    pub view: String,
    /// Whose items.
    pub creator: Creator,
    /// What is loaded.
    pub items: Vec<Item>,
    /// Where to continue loading; none at the end.
    pub cursor: Option<String>,
    /// How many items there are.
    pub total_items: usize,
    /// The page that is shown, from 0.
    pub page: usize,
    /// The result set to go back to.
    pub results: Option<String>,
    /// Which items.
    #[serde(default)]
    pub filter: Filter,
    /// Whether the limit of kept items is reached.
    #[serde(default)]
    pub full: bool,
}

impl ContentView {
    /// The last page that is loaded, from 0.
    pub fn last_page(&self) -> usize {
        self.items.len().div_ceil(PAGE_ITEMS).saturating_sub(1)
    }

    /// Appends a plugin's `content_directory` and turns to the first page of new items. Known items are not added again, so
    /// the same answer twice changes nothing.
    pub fn append(&mut self, data: &Value) {
        let Some(directory) = data.get("content_directory") else { return };
        let before = self.items.len();
        let mut room = KEEP_BYTES.saturating_sub(self.items.iter().map(Item::bytes).sum());
        let items = directory.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten().filter_map(Item::read) {
            if self.items.iter().any(|known| known.id == item.id) {
                continue;
            }
            let fits = self.items.len() < KEEP_ITEMS && item.bytes() <= room;
            if !fits {
                self.full = true;
                break;
            }
            room -= item.bytes();
            self.items.push(item);
        }
        self.full |= self.items.len() >= KEEP_ITEMS;
        if before < self.items.len() {
            self.page = before / PAGE_ITEMS;
        }
        let more = directory.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        self.cursor = text_field(directory, "cursor")
            .filter(|cursor| more && cursor.len() <= 300 && !self.full)
            .map(str::to_owned);
        let total = directory.get("total_items").and_then(Value::as_u64).unwrap_or(0);
        self.total_items = usize::try_from(total).unwrap_or(usize::MAX).max(self.items.len());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn directory(ids: std::ops::Range<usize>, more: bool) -> Value {
        let items: Vec<Value> = ids
            .map(|n| json!({"id": n.to_string(), "title": "t", "url": format!("https://m.example/{n}")}))
            .collect();
        json!({"content_directory": {
            "items": items, "has_more": more, "cursor": "c", "total_items": 40,
        }})
    }

    #[test]
    fn more_items_are_appended_once_and_their_first_page_is_shown() {
        let mut view = ContentView::default();
        view.append(&directory(0..10, true));
        assert_eq!((view.items.len(), view.page, view.cursor.as_deref()), (10, 0, Some("c")));
        view.append(&directory(10..40, false));
        assert_eq!((view.items.len(), view.page, view.cursor.clone()), (40, 1, None));
        view.append(&directory(10..40, false));
        assert_eq!((view.items.len(), view.page), (40, 1), "the same answer twice changes nothing");
    }

    #[test]
    fn odd_data_from_a_plugin_is_left_out() {
        for odd in [json!(null), json!([]), json!({"content_directory": []})] {
            let mut view = ContentView::default();
            view.append(&odd);
            assert_eq!(view, ContentView::default());
        }
    }

    #[test]
    fn items_with_endless_addresses_are_kept_as_far_as_there_is_room() {
        let items: Vec<Value> = (0..100)
            .map(|n| json!({"url": format!("https://m.example/{n}?{}", "x".repeat(2_000))}))
            .collect();
        let mut view = ContentView::default();
        view.append(&json!({"content_directory": {
            "items": items, "has_more": true, "cursor": "c", "total_items": 400,
        }}));
        assert!((10..100).contains(&view.items.len()), "{}", view.items.len());
        assert!(view.full && view.cursor.is_none(), "it is said that there is no more here");
    }
}
