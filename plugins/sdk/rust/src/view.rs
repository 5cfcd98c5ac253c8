//! What a chat shows: text, a numbered list, pictures and videos, buttons.
//!
//! A view that is made here keeps the contract's limits. What is too long is cut, and what does not fit or cannot be shown is
//! left out; [`crate::Answer::cut`] and the worker's log say what. The rest is shown.

mod button;
mod fit;
mod limits;

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use self::button::Button;
use self::button::{Request, fit_rows};
use self::fit::Fit;
use self::limits::{MAX_CAPTION_CHARS, MAX_ITEM_TEXT_CHARS, MAX_ITEMS, MAX_MEDIA, MAX_TITLE_CHARS};

/// A view. Its text and the texts of its items are in CommonMark; [`crate::text::escape`] makes a foreign text safe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    text: String,
    items: Vec<Item>,
    media: Vec<Media>,
    rows: Vec<Vec<Button>>,
    next: Option<Request>,
}

/// An entry of the numbered list.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    title: String,
    url: Option<String>,
    text: Option<String>,
}

/// A picture or a video.
#[derive(Debug, Clone, PartialEq)]
struct Media {
    kind: &'static str,
    url: String,
    caption: String,
}

impl Item {
    /// An entry with this title, plain text on one line.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), url: None, text: None }
    }

    /// Makes the title a link.
    #[must_use]
    pub fn link(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// A line of text below the title.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

impl View {
    /// A view with this text, in CommonMark: bold, italic, code, links and lists are kept.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Adds an entry to the list.
    #[must_use]
    pub fn item(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    /// Adds entries to the list.
    #[must_use]
    pub fn items(mut self, items: impl IntoIterator<Item = Item>) -> Self {
        self.items.extend(items);
        self
    }

    /// Adds a picture with a caption, which may be empty.
    #[must_use]
    pub fn photo(self, url: impl Into<String>, caption: impl Into<String>) -> Self {
        self.media("photo", url.into(), caption.into())
    }

    /// Adds a video with a caption, which may be empty.
    #[must_use]
    pub fn video(self, url: impl Into<String>, caption: impl Into<String>) -> Self {
        self.media("video", url.into(), caption.into())
    }

    /// Adds a row of buttons.
    #[must_use]
    pub fn row(mut self, buttons: impl IntoIterator<Item = Button>) -> Self {
        self.rows.push(buttons.into_iter().collect());
        self
    }

    /// A last button that starts a task, for instance for the next page. `params` as in [`Button::ask`].
    #[must_use]
    pub fn next(mut self, task_type: &str, params: &impl Serialize) -> Self {
        self.next = Some(Request::new(task_type, params));
        self
    }

    fn media(mut self, kind: &'static str, url: String, caption: String) -> Self {
        self.media.push(Media { kind, url, caption });
        self
    }

    /// The view as the contract has it, and what was cut or left out.
    pub(crate) fn finish(self) -> (Value, Vec<String>) {
        let mut fit = Fit::default();
        // In the order in which a chat fills its room: the list comes last.
        let text = fit.text(&self.text);
        let next = self.next.as_ref().and_then(|next| next.fit("the next task", &mut fit));
        let rows = fit_rows(self.rows, &mut fit);
        let media: Vec<Value> =
            self.media.iter().filter_map(|media| media.fit(&mut fit)).take(MAX_MEDIA).collect();
        fit.only("pictures and videos", self.media.len(), MAX_MEDIA);
        let items: Vec<Value> =
            self.items.iter().filter_map(|item| item.fit(&mut fit)).take(MAX_ITEMS).collect();
        fit.only("items", self.items.len(), MAX_ITEMS);
        if text.is_empty() && media.is_empty() && items.is_empty() {
            fit.say("the view has no text, no item and no picture: nothing is shown".to_owned());
        }
        let mut view = Map::from_iter([
            ("version".to_owned(), limits::VERSION.into()),
            ("text".to_owned(), text.into()),
            ("items".to_owned(), items.into()),
            ("buttons".to_owned(), rows.into()),
        ]);
        if !media.is_empty() {
            view.insert("media".to_owned(), media.into());
        }
        if let Some(next) = next {
            view.insert("next".to_owned(), Value::Object(next));
        }
        (Value::Object(view), fit.said())
    }
}

impl Item {
    fn fit(&self, fit: &mut Fit) -> Option<Value> {
        let title = fit.line("an item's title", &self.title, MAX_TITLE_CHARS)?;
        let what = format!("the item `{title}`");
        let url = self.url.as_ref().and_then(|url| fit.address(&what, url));
        let text = self.text.as_ref().and_then(|text| fit.line(&what, text, MAX_ITEM_TEXT_CHARS));
        let bytes = [Some(&title), url.as_ref(), text.as_ref()];
        fit.takes(&what, bytes.into_iter().flatten().map(String::len).sum())?;
        let mut item = Map::from_iter([("title".to_owned(), title.into())]);
        item.extend(url.map(|url| ("url".to_owned(), url.into())));
        item.extend(text.map(|text| ("text".to_owned(), text.into())));
        Some(Value::Object(item))
    }
}

impl Media {
    fn fit(&self, fit: &mut Fit) -> Option<Value> {
        let what = format!("a {}", self.kind);
        let url = fit.address(&what, &self.url)?;
        let caption = match self.caption.as_str() {
            "" => None,
            caption => fit.line(&what, caption, MAX_CAPTION_CHARS),
        };
        fit.takes(&what, url.len() + caption.as_ref().map_or(0, String::len))?;
        let mut media = json!({"type": self.kind, "url": url});
        if let (Value::Object(members), Some(caption)) = (&mut media, caption) {
            members.insert("caption".to_owned(), caption.into());
        }
        Some(media)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_written_as_the_contract_says() {
        let (view, cut) = View::text("**Two**\nlines")
            .item(Item::new("One").link("https://c.example/1").text("first"))
            .items([Item::new("Two")])
            .photo("https://c.example/1.jpg", "A picture")
            .video("https://c.example/1.mp4", "")
            .row([
                Button::ask("Again", "roll_dice", &json!({"dice": "2d6"})),
                Button::open("Page", "https://c.example"),
            ])
            .next("roll_dice", &json!({"page": 2}))
            .finish();
        let expected = json!({
            "version": 1, "text": "**Two**\nlines",
            "items": [{"title": "One", "url": "https://c.example/1", "text": "first"}, {"title": "Two"}],
            "media": [
                {"type": "photo", "url": "https://c.example/1.jpg", "caption": "A picture"},
                {"type": "video", "url": "https://c.example/1.mp4"},
            ],
            "buttons": [[
                {"text": "Again", "task_type": "roll_dice", "params": {"dice": "2d6"}},
                {"text": "Page", "url": "https://c.example"},
            ]],
            "next": {"task_type": "roll_dice", "params": {"page": 2}},
        });
        assert_eq!(view, expected);
        assert_eq!(cut, Vec::<String>::new());
    }

    #[test]
    fn what_is_left_out_is_said() {
        let (view, cut) = View::text("x")
            .item(Item::new("No link").link("javascript:alert(1)"))
            .item(Item::new(" \n"))
            .row([Button::open("Away", "ftp://c.example"), Button::ask("No object", "t", &7)])
            .row([Button::ask("Named wrongly", "Roll Dice", &json!({}))])
            .row([Button::ask("Heavy", "t", &json!({"x": "y".repeat(3_000)}))])
            .finish();
        assert_eq!(view["items"], json!([{"title": "No link"}]));
        assert_eq!(view["buttons"], json!([]));
        for part in ["`No link`", "`Away`", "`No object`", "`Roll Dice`", "`Heavy`", "title"] {
            assert!(cut.iter().any(|cut| cut.contains(part)), "{part}: {cut:?}");
        }
        let (_, cut) = View::default().finish();
        assert_eq!(cut, ["the view has no text, no item and no picture: nothing is shown"]);
    }
}
