//! From data to text and buttons. Everything from a plugin is untrusted: cut, cleaned and escaped here.

pub mod content;
pub mod creators;
pub mod links;
pub mod markup;
pub mod split;
pub mod view;

use serde_json::Value;

use crate::callback::Token;
use crate::text::Lang;

/// Longest button text, in characters; longer ones are unreadable on a phone.
const MAX_BUTTON_CHARS: usize = 48;
/// Longest address that is linked, in bytes; what the plugins take too. What a message takes of them together is in
/// [`links`].
const MAX_ADDRESS_BYTES: usize = 2_048;

/// A message: HTML and buttons.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Screen {
    /// The text, in Telegram's HTML.
    pub html: String,
    /// Rows of buttons.
    pub buttons: Vec<Vec<Button>>,
    /// Rows of keys below the input field, which stay there. A message has these or buttons.
    pub keys: Vec<Vec<String>>,
}

/// A picture or video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Video or picture.
    pub video: bool,
    /// Where it is.
    pub url: String,
    /// What it is called, plain.
    pub caption: String,
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
    /// What stands on it.
    pub text: String,
    /// What it does.
    pub action: Action,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Comes back to us.
    Press(Token),
    /// Opens an address.
    Open(String),
}

impl Button {
    /// A button whose text is in the catalogue.
    pub fn named(lang: Lang, id: &str, token: Token) -> Self {
        Self::press(&lang.text(id), token)
    }

    /// A button that comes back to us.
    pub fn press(text: &str, token: Token) -> Self {
        Self { text: clean(text, MAX_BUTTON_CHARS), action: Action::Press(token) }
    }

    /// A button that opens an address; none when it is not http(s).
    pub fn open(text: &str, url: &str) -> Option<Self> {
        web_address(url).then(|| Self {
            text: clean(text, MAX_BUTTON_CHARS),
            action: Action::Open(url.to_owned()),
        })
    }
}

/// Text as it may stand in Telegram's HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text without control characters and marks that change the direction of writing, on one line, cut with an ellipsis.
pub fn clean(text: &str, max_chars: usize) -> String {
    let words = printable(text);
    cut(words.split_whitespace().collect::<Vec<_>>().join(" "), max_chars)
}

/// [`clean`] for a text whose lines and spaces mean something.
pub fn clean_lines(text: &str, max_chars: usize) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    cut(lines.join("\n").trim().to_owned(), max_chars)
}

/// A piece of a line: without what disguises it, other control characters as spaces.
pub fn printable(text: &str) -> String {
    let shown = text.chars().filter(|letter| {
        !matches!(letter,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    });
    shown.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// At most so many characters, the last an ellipsis when some are missing.
fn cut(text: String, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text;
    }
    let mut cut: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// [`clean`], [`quiet`] and [`escape`].
pub fn shown(text: &str, max_chars: usize) -> String {
    escape(&quiet(&clean(text, max_chars)))
}

/// Text in which Telegram finds no mention, command or hashtag: what a person or a plugin wrote must not call somebody,
/// or be a command that others press. A word joiner, which is not seen, stands behind the sign that would begin one.
pub fn quiet(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut in_word = false;
    while let Some(letter) = letters.next() {
        quiet.push(letter);
        let begins = matches!(letter, '@' | '/' | '#') && !in_word;
        if begins && letters.peek().is_some_and(|next| next.is_alphanumeric()) {
            quiet.push('\u{2060}');
        }
        in_word = letter.is_alphanumeric();
    }
    quiet
}

/// Whether an address is http(s) with a host and may be linked.
pub fn web_address(url: &str) -> bool {
    url.len() <= MAX_ADDRESS_BYTES
        && reqwest::Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|host| !host.is_empty())
        })
}

/// A link, or just its text when the address may not be linked.
pub fn link(text: &str, url: &str, max_chars: usize) -> String {
    let text = shown(text, max_chars);
    match web_address(url) {
        true => format!("<a href=\"{}\">{text}</a>", escape(url)),
        false => text,
    }
}

/// A field that is a text.
pub(crate) fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nasty_text_cannot_break_out() {
        assert_eq!(shown("<b>\u{202e}x\n\u{7}y & \"z\"", 50), "&lt;b&gt;x y &amp; &quot;z&quot;");
        assert_eq!(clean(&"ü".repeat(100), 10).chars().count(), 10);
    }

    #[test]
    fn nobody_is_called_and_no_command_is_made_by_what_others_wrote() {
        assert_eq!(
            quiet("@bob and (#tag) or /stop"),
            "@\u{2060}bob and (#\u{2060}tag) or /\u{2060}stop"
        );
        assert_eq!(quiet("a@b.example 1/2 C# @ /"), "a@b.example 1/2 C# @ /");
    }

    #[test]
    fn only_web_addresses_are_linked() {
        assert_eq!(link("x", "javascript:alert(1)", 10), "x");
        assert_eq!(link("x", "https://", 10), "x");
        assert_eq!(
            link("x", "https://a.example/?a=1&b=\"", 10),
            "<a href=\"https://a.example/?a=1&amp;b=&quot;\">x</a>"
        );
        assert!(Button::open("x", "tg://resolve").is_none());
        let long = |bytes: usize| format!("{:x<bytes$}", "https://a.example/");
        assert!(web_address(&long(2_048)) && !web_address(&long(2_049)));
    }
}
