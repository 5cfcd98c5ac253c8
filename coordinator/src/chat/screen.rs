//! A message as the bot shows it: text and buttons.

use super::callback::ButtonAction;
use super::sanitize::{clean, is_web_url};
use super::text::Lang;

/// Longest button text, in characters; longer ones are unreadable on a phone.
const MAX_BUTTON_CHARS: usize = 48;

/// A message: HTML and buttons.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Screen {
    /// The text, in Telegram's HTML.
    pub html: String,
    /// Rows of buttons.
    pub buttons: Vec<Vec<Button>>,
    /// Rows of the reply keyboard, below the input field. A message has this or buttons.
    pub keys: Vec<Vec<String>>,
}

impl Screen {
    /// A message without buttons.
    pub fn plain(html: impl Into<String>) -> Self {
        Self { html: html.into(), ..Self::default() }
    }
}

/// One button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// Its text.
    pub text: String,
    /// What it does.
    pub target: ButtonTarget,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ButtonTarget {
    /// Sends callback data to the bot.
    Callback(ButtonAction),
    /// Opens an address.
    Url(String),
}

impl Button {
    /// A button whose text is in the catalogue.
    pub fn named(lang: Lang, id: &str, action: ButtonAction) -> Self {
        Self::press(&lang.text(id), action)
    }

    /// A button with callback data.
    pub fn press(text: &str, action: ButtonAction) -> Self {
        Self { text: clean(text, MAX_BUTTON_CHARS), target: ButtonTarget::Callback(action) }
    }

    /// A button that opens an address; none when it is not http(s).
    pub fn open(text: &str, url: &str) -> Option<Self> {
        is_web_url(url).then(|| Self {
            text: clean(text, MAX_BUTTON_CHARS),
            target: ButtonTarget::Url(url.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_opens_only_web_addresses() {
        assert!(Button::open("x", "tg://resolve").is_none());
        assert!(Button::open("x", "https://a.example").is_some());
    }
}
