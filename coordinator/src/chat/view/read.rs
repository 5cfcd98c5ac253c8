//! Reads a view from a result's data, where it is under `view`, in the form that `docs/plugin-contract.md` describes.
//!
//! A plugin is not trusted: what does not fit is left out or cut, and the whole is bounded, because sessions store it.

use serde_json::{Map, Value};

use super::{Entry, TaskRequest, View, ViewAction, ViewButton};
use crate::chat::media::{Media, MediaKind};
use crate::chat::sanitize::{clean, clean_lines, is_web_url, text_field};

/// The version that is read here.
const VERSION: u64 = 1;
/// About ten pages.
const MAX_TEXT_CHARS: usize = 16_000;
const MAX_TEXT_BYTES: usize = 32 << 10;
const MAX_ITEMS: usize = 50;
const MAX_TITLE_CHARS: usize = 120;
const MAX_ITEM_TEXT_CHARS: usize = 300;
/// Bot API: an album has at most ten parts.
const MAX_MEDIA: usize = 10;
const MAX_CAPTION_CHARS: usize = 200;
/// Buttons that fit on a phone. Telegram allows 8 in a row and 100 in all.
const MAX_ROWS: usize = 8;
const MAX_IN_ROW: usize = 4;
const MAX_BUTTONS: usize = 24;
const MAX_LABEL_CHARS: usize = 48;
/// Size and nesting of one task's params, so that a session stays readable.
const MAX_PARAMS_BYTES: usize = 2 << 10;
const MAX_PARAMS_LEVELS: usize = 32;
/// Size of a view in a session, in bytes of the plugin's texts. The rest is left out.
const MAX_BYTES: usize = 48 << 10;

impl View {
    /// Reads the view in a result's data; none when there is none, or nothing to show in it.
    pub fn read(data: &Value) -> Option<Self> {
        let view = data.get("view")?;
        if view.get("version")?.as_u64()? != VERSION {
            return None;
        }
        let list = |name: &str| view.get(name).and_then(Value::as_array).into_iter().flatten();
        let mut room = Room(MAX_BYTES);
        let mut text = clean_lines(text_field(view, "text").unwrap_or_default(), MAX_TEXT_CHARS);
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        room.0 = room.0.saturating_sub(text.len());
        let next = view.get("next").and_then(|next| TaskRequest::read(next, &mut room));
        let buttons = rows(list("buttons"), &mut room);
        let media = list("media").filter_map(|media| read_media(media, &mut room));
        let media: Vec<Media> = media.take(MAX_MEDIA).collect();
        let items = list("items").filter_map(|item| Entry::read(item, &mut room));
        let items: Vec<Entry> = items.take(MAX_ITEMS).collect();
        let nothing = text.is_empty() && items.is_empty() && media.is_empty();
        (!nothing).then_some(Self { text, items, media, buttons, next })
    }
}

/// Bytes that are left of the view's size.
struct Room(usize);

impl Room {
    fn takes(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

impl Entry {
    fn read(value: &Value, room: &mut Room) -> Option<Self> {
        let title = shown(value, "title", MAX_TITLE_CHARS)?;
        let url = address(value);
        let text = shown(value, "text", MAX_ITEM_TEXT_CHARS);
        let bytes = title.len() + length(url.as_ref()) + length(text.as_ref());
        room.takes(bytes).then_some(Self { title, url, text })
    }
}

fn read_media(value: &Value, room: &mut Room) -> Option<Media> {
    let kind = match text_field(value, "type")? {
        "photo" => MediaKind::Photo,
        "video" => MediaKind::Video,
        _ => return None,
    };
    let url = address(value)?;
    let caption = shown(value, "caption", MAX_CAPTION_CHARS);
    let bytes = url.len() + length(caption.as_ref());
    room.takes(bytes).then_some(Media { kind, url, caption })
}

impl TaskRequest {
    fn read(value: &Value, room: &mut Room) -> Option<Self> {
        let task_type = text_field(value, "task_type")?.parse().ok()?;
        let params = match value.get("params") {
            None => Map::new(),
            Some(params) if levels(params) > MAX_PARAMS_LEVELS => return None,
            Some(params) => params.as_object()?.clone(),
        };
        let bytes = serde_json::to_vec(&params).ok()?.len();
        (bytes <= MAX_PARAMS_BYTES && room.takes(bytes)).then_some(Self { task_type, params })
    }
}

impl ViewButton {
    fn read(value: &Value, room: &mut Room) -> Option<Self> {
        let text = shown(value, "text", MAX_LABEL_CHARS)?;
        let action = match address(value) {
            Some(url) => ViewAction::OpenUrl(room.takes(url.len()).then_some(url)?),
            None => ViewAction::Submit(TaskRequest::read(value, room)?),
        };
        room.takes(text.len()).then_some(Self { text, action })
    }
}

fn rows<'a>(listed: impl Iterator<Item = &'a Value>, room: &mut Room) -> Vec<Vec<ViewButton>> {
    let mut left = MAX_BUTTONS;
    let mut rows = Vec::new();
    for row in listed.filter_map(Value::as_array).take(MAX_ROWS) {
        let buttons = row.iter().filter_map(|button| ViewButton::read(button, room));
        let row: Vec<ViewButton> = buttons.take(MAX_IN_ROW.min(left)).collect();
        left -= row.len();
        if !row.is_empty() {
            rows.push(row);
        }
    }
    rows
}

/// A text on one line; none when it is empty after cleaning.
fn shown(value: &Value, name: &str, max_chars: usize) -> Option<String> {
    Some(clean(text_field(value, name)?, max_chars)).filter(|text| !text.is_empty())
}

fn address(value: &Value) -> Option<String> {
    text_field(value, "url").filter(|url| is_web_url(url)).map(str::to_owned)
}

fn length(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// How deep a value is nested: 1 for a number or a text.
fn levels(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => members.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::view::{NEXT_INDEX, StoredView};

    fn read(view: &Value) -> Option<View> {
        View::read(&json!({"view": view}))
    }

    #[test]
    fn a_view_is_read_and_reads_back_from_a_session() {
        let view = read(&json!({
            "version": 1,
            "text": "**Two** lines\nhere",
            "items": [{"title": "One", "url": "https://c.example/1", "text": "first"}, {"title": "Two"}],
            "media": [{"type": "photo", "url": "https://c.example/1.jpg", "caption": "A picture"}],
            "buttons": [
                [{"text": "Again", "task_type": "roll_dice", "params": {"dice": "2d6"}}],
                [{"text": "Page", "url": "https://c.example"}, {"text": "Bare", "task_type": "roll_dice"}],
            ],
            "next": {"task_type": "roll_dice", "params": {"page": 2}},
            "colour": "of a version to come",
        }))
        .unwrap();
        assert_eq!(view.text, "**Two** lines\nhere");
        assert_eq!((view.items.len(), view.media.len(), view.buttons.len()), (2, 1, 2));
        assert_eq!(view.task_request(0).unwrap().params["dice"], "2d6");
        assert_eq!(view.task_request(1), None, "an address is nothing to submit");
        assert_eq!(view.task_request(2).unwrap().params, Map::new());
        assert_eq!(view.task_request(3), None);
        assert_eq!(view.task_request(NEXT_INDEX).unwrap().params["page"], 2);
        let stored = StoredView { view: "ab".to_owned(), content: view, page: 0 };
        let json = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<StoredView>(&json).unwrap(), stored);
    }

    #[test]
    fn what_an_older_coordinator_stored_is_read() {
        let stored = json!({"view": "ab", "content": {"text": "x", "buttons": [[
            {"text": "Again", "does": {"ask": {"task_type": "roll_dice"}}},
            {"text": "Page", "does": {"open": "https://c.example"}},
        ]]}});
        let view: StoredView = serde_json::from_value(stored).unwrap();
        assert!(view.content.task_request(0).is_some());
        let address = ViewAction::OpenUrl("https://c.example".to_owned());
        assert_eq!(view.content.buttons[0][1].action, address);
    }

    #[test]
    fn what_shows_nothing_is_no_view() {
        for none in [
            json!(null),
            json!("text"),
            json!({"text": "no version"}),
            json!({"version": 2, "text": "x"}),
            json!({"version": 1}),
            json!({"version": 1, "text": " \u{202e}\n ", "items": [{"title": "\u{200b}"}]}),
            json!({"version": 1, "buttons": [[{"text": "x", "url": "https://c.example"}]]}),
        ] {
            assert_eq!(read(&none), None, "{none}");
        }
    }

    #[test]
    fn what_is_odd_is_left_out() {
        let mut deep = json!({"x": 1});
        for _ in 0..40 {
            deep = json!({"x": deep});
        }
        let view = read(&json!({
            "version": 1,
            "text": 7,
            "items": [null, {"title": 7}, {"title": "Kept", "url": "javascript:alert(1)", "text": " "}],
            "media": [
                {"type": "sound", "url": "https://c.example/1"}, {"type": "photo", "url": "file:///etc"},
                {"type": "video", "url": "https://c.example/2"},
            ],
            "buttons": [
                "row", [], [{"text": "x"}, {"text": "", "url": "https://c.example"}],
                [{"text": "x", "task_type": "No Type"}, {"text": "x", "task_type": "t", "params": [1]}],
                [{"text": "x", "task_type": "t", "params": {"x": "y".repeat(2_048)}}],
                [{"text": "x", "task_type": "t", "params": deep}],
                [{"text": "Kept\u{202e}", "task_type": "t"}],
            ],
            "next": {"task_type": 7},
        }))
        .unwrap();
        assert_eq!(view.items, [Entry { title: "Kept".to_owned(), url: None, text: None }]);
        assert_eq!(view.media.len(), 1);
        assert_eq!(view.buttons.len(), 1);
        assert_eq!(view.buttons[0][0].text, "Kept");
        assert_eq!(view.next, None);
    }

    #[test]
    fn the_largest_view_stays_within_a_session() {
        let address = format!("https://c.example/{}", "x".repeat(900));
        let item = json!({"title": "ü".repeat(500), "url": address, "text": "ü".repeat(500)});
        let ask = json!({"text": "b", "task_type": "t", "params": {"x": "y".repeat(2_000)}});
        let media = json!({"type": "photo", "url": address, "caption": "ü".repeat(500)});
        let view = read(&json!({
            "version": 1, "text": "ü".repeat(50_000), "items": vec![item; 500], "media": vec![media; 50],
            "buttons": vec![vec![ask; 9]; 20], "next": {"task_type": "t"},
        }))
        .unwrap();
        assert_eq!(view.text.chars().count(), MAX_TEXT_CHARS);
        assert!(view.next.is_some());
        assert!(view.buttons.iter().flatten().count() <= MAX_BUTTONS);
        assert!(view.buttons.iter().all(|row| row.len() <= MAX_IN_ROW));
        // Names of fields and quotes are not counted.
        let bytes = serde_json::to_string(&view).unwrap().len();
        assert!(bytes <= MAX_BYTES + MAX_BYTES / 4, "{bytes}");
    }

    #[test]
    fn no_more_buttons_than_a_phone_shows() {
        let ask = json!({"text": "b", "task_type": "t"});
        let view = read(&json!({"version": 1, "text": "x", "buttons": vec![vec![ask; 9]; 20]}));
        let rows: Vec<usize> = view.unwrap().buttons.iter().map(Vec::len).collect();
        assert_eq!(rows, [4, 4, 4, 4, 4, 4]);
    }
}
