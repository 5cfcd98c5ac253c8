//! Reads a view from a result's data, where it is under `view`, in the form that `docs/plugin-contract.md` describes.
//!
//! A plugin is not trusted: what does not fit is left out or cut, and the whole is bounded, because sessions store it. What
//! is left out or cut is told to whoever asks, by the same code that does it.

mod buttons;

use serde_json::{Map, Value};

use super::{Entry, TaskRequest, View};
use crate::media::{Media, MediaKind};
use crate::remarks::{Place, Remarks};
use crate::text::{MAX_ADDRESS_BYTES, clean, clean_lines, cut, is_web_url, text_field};

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
/// Size of a view in a session, in bytes of the plugin's texts. The rest is left out.
const MAX_BYTES: usize = 48 << 10;

/// Why the task that a button starts would fail; none when it would not.
type Judge<'a> = &'a dyn Fn(&TaskRequest) -> Option<String>;

impl View {
    /// Reads the view in a result's data; none when there is none, or nothing to show in it.
    pub fn read(data: &Value) -> Option<Self> {
        Reader::new(Remarks::unwanted(), &|_| None).view(data.get("view")?)
    }

    /// What of the view in a result's data is not shown as it is written, one line for each part, with what to do. None when
    /// there is no view. `judge` says why the task of a button would fail.
    pub fn remarks(data: &Value, judge: Judge<'_>) -> Vec<String> {
        let mut reader = Reader::new(Remarks::new(), judge);
        if let Some(view) = data.get("view") {
            reader.view(view);
        }
        reader.remarks.into_lines()
    }
}

/// Reads one view.
struct Reader<'a> {
    /// Bytes that are left of the view's size.
    room: usize,
    remarks: Remarks,
    judge: Judge<'a>,
}

impl<'a> Reader<'a> {
    fn new(remarks: Remarks, judge: Judge<'a>) -> Self {
        Self { room: MAX_BYTES, remarks, judge }
    }

    fn view(&mut self, view: &Value) -> Option<View> {
        let place = Place::root("view");
        let Value::Object(members) = view else {
            self.remarks.add(&place, || {
                "it is not an object, so nothing is shown; write {\"version\": 1, \"text\": \"…\"}".to_owned()
            });
            return None;
        };
        self.version(members, &place)?;
        let known = ["version", "text", "items", "media", "buttons", "next"];
        self.remarks.add_unknown(members, &known, &place);
        let text = self.text(view, &place);
        let next = members.get("next").and_then(|next| self.task(next, &place.name("next")));
        let buttons = self.rows(view, &place);
        let media = self.list(view, "media", MAX_MEDIA, &place, Self::media);
        let items = self.list(view, "items", MAX_ITEMS, &place, Self::entry);
        if text.is_empty() && items.is_empty() && media.is_empty() {
            self.remarks.add(&place, || {
                "it has no text, items or media that can be shown, so it is ignored; write a `text`".to_owned()
            });
            return None;
        }
        Some(View { text, items, media, buttons, next })
    }

    fn version(&mut self, members: &Map<String, Value>, place: &Place<'_>) -> Option<()> {
        let version = members.get("version");
        if version.and_then(Value::as_u64) == Some(VERSION) {
            return Some(());
        }
        self.remarks.add(&place.name("version"), || {
            let found =
                if version.is_some() { "it is not a known version" } else { "it is missing" };
            format!("{found}, so nothing of the view is shown; write \"version\": {VERSION}")
        });
        None
    }

    fn text(&mut self, view: &Value, place: &Place<'_>) -> String {
        let place = place.name("text");
        self.only_text(view, "text", &place);
        let whole = clean_lines(text_field(view, "text").unwrap_or_default(), usize::MAX);
        let chars = whole.chars().count();
        let bytes = whole.len();
        let mut text = cut(whole, MAX_TEXT_CHARS);
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        if chars > MAX_TEXT_CHARS || bytes > MAX_TEXT_BYTES {
            self.remarks.add(&place, || {
                format!(
                    "it has {chars} characters in {bytes} bytes and is cut; write at most {MAX_TEXT_CHARS} in \
                     {MAX_TEXT_BYTES} bytes, and offer the rest with `next`"
                )
            });
        }
        self.room = self.room.saturating_sub(text.len());
        text
    }

    /// The parts of a list that can be shown, at most `max` of them.
    fn list<T>(
        &mut self,
        view: &Value,
        name: &str,
        max: usize,
        place: &Place<'_>,
        mut read: impl FnMut(&mut Self, &Value, &Place<'_>) -> Option<T>,
    ) -> Vec<T> {
        let place = place.name(name);
        let listed = self.listed(view.get(name), &place);
        if listed.len() > max {
            self.remarks.add(&place, || {
                format!("it has {}, and {max} are shown; offer the rest with `next`", listed.len())
            });
        }
        let parts = listed.iter().enumerate();
        parts.filter_map(|(index, part)| read(self, part, &place.index(index))).take(max).collect()
    }

    /// A list that may be absent.
    fn listed<'v>(&mut self, value: Option<&'v Value>, place: &Place<'_>) -> &'v [Value] {
        match value {
            None => &[],
            Some(Value::Array(listed)) => listed,
            Some(_) => {
                self.remarks
                    .add(place, || "it is not a list and is left out; write [ … ]".to_owned());
                &[]
            }
        }
    }

    fn entry(&mut self, value: &Value, place: &Place<'_>) -> Option<Entry> {
        self.unknown(value, &["title", "url", "text"], place);
        let title = self.shown(value, "title", MAX_TITLE_CHARS, place);
        let title = self.needed(title, "title", place)?;
        let url = self.address(value, place);
        let text = self.shown(value, "text", MAX_ITEM_TEXT_CHARS, place);
        let bytes = title.len() + length(url.as_ref()) + length(text.as_ref());
        self.takes(bytes, place).then_some(Entry { title, url, text })
    }

    fn media(&mut self, value: &Value, place: &Place<'_>) -> Option<Media> {
        self.unknown(value, &["type", "url", "caption"], place);
        let kind = match text_field(value, "type") {
            Some("photo") => MediaKind::Photo,
            Some("video") => MediaKind::Video,
            _ => {
                self.remarks.add(&place.name("type"), || {
                    "it is not `photo` or `video`, so this part is left out".to_owned()
                });
                return None;
            }
        };
        let url = self.address(value, place);
        let url = self.needed(url, "url", place)?;
        let caption = self.shown(value, "caption", MAX_CAPTION_CHARS, place);
        let bytes = url.len() + length(caption.as_ref());
        self.takes(bytes, place).then_some(Media { kind, url, caption })
    }

    /// A text on one line; none when it is empty after cleaning.
    fn shown(
        &mut self,
        value: &Value,
        name: &str,
        max_chars: usize,
        place: &Place<'_>,
    ) -> Option<String> {
        let place = place.name(name);
        self.only_text(value, name, &place);
        let whole = clean(text_field(value, name)?, usize::MAX);
        let chars = whole.chars().count();
        if chars > max_chars {
            self.remarks
                .add(&place, || format!("{chars} characters, cut to {max_chars}; make it shorter"));
        }
        Some(cut(whole, max_chars)).filter(|text| !text.is_empty())
    }

    fn only_text(&mut self, value: &Value, name: &str, place: &Place<'_>) {
        if value.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            self.remarks.add(place, || "it is not a text and is left out".to_owned());
        }
    }

    /// Something without which its part is left out.
    fn needed(&mut self, found: Option<String>, name: &str, place: &Place<'_>) -> Option<String> {
        if found.is_none() {
            self.remarks
                .add(place, || format!("it has no usable `{name}`, so this part is left out"));
        }
        found
    }

    fn address(&mut self, value: &Value, place: &Place<'_>) -> Option<String> {
        let place = place.name("url");
        self.only_text(value, "url", &place);
        let url = text_field(value, "url")?;
        if is_web_url(url) {
            return Some(url.to_owned());
        }
        self.remarks.add(&place, || {
            format!("it is no address with http or https of at most {MAX_ADDRESS_BYTES} bytes, so it is left out")
        });
        None
    }

    fn unknown(&mut self, value: &Value, known: &[&str], place: &Place<'_>) {
        if let Value::Object(members) = value {
            self.remarks.add_unknown(members, known, place);
        }
    }

    /// Whether a part fits into what is left.
    fn takes(&mut self, bytes: usize, place: &Place<'_>) -> bool {
        let left = self.room.checked_sub(bytes);
        match left {
            Some(left) => self.room = left,
            None => self.remarks.add(place, || {
                format!("with it the view would have more than {MAX_BYTES} bytes, so it is left out; offer it with `next`")
            }),
        }
        left.is_some()
    }
}

fn length(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

#[cfg(test)]
mod tests;
