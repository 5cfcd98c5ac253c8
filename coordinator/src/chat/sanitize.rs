//! Text from people and plugins made safe to show: cut, cleaned and escaped.

use serde_json::Value;

/// Longest URL that is linked, in bytes; the plugins have the same limit. The limit for all URLs of a message is in
/// [`super::render::links`].
const MAX_ADDRESS_BYTES: usize = 2_048;

/// Text escaped for Telegram's HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text on one line, without control characters and direction marks, cut with an ellipsis.
pub fn clean(text: &str, max_chars: usize) -> String {
    let words = without_controls(text);
    cut(words.split_whitespace().collect::<Vec<_>>().join(" "), max_chars)
}

/// [`clean`] that keeps lines and spaces.
pub fn clean_lines(text: &str, max_chars: usize) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let lines: Vec<String> = text.split('\n').map(without_controls).collect();
    cut(lines.join("\n").trim().to_owned(), max_chars)
}

/// Text without invisible characters and direction marks; other control characters become spaces.
pub fn without_controls(text: &str) -> String {
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

/// Text that may stand in a message: [`clean`], [`without_mentions`] and [`escape`].
pub fn safe_html(text: &str, max_chars: usize) -> String {
    escape(&without_mentions(&clean(text, max_chars)))
}

/// Text in which Telegram finds no mention, command or hashtag, so that what people and plugins write notifies nobody and
/// cannot be pressed as a command. An invisible word joiner follows each sign that would begin one.
pub fn without_mentions(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        quiet.push(letter);
        let begins = match letter {
            '@' | '#' => !before.is_alphanumeric(),
            // Telegram finds no command inside a URL or a tag.
            '/' => !before.is_alphanumeric() && !matches!(before, '/' | '<' | '>'),
            _ => false,
        };
        if begins && letters.peek().is_some_and(|next| next.is_alphanumeric()) {
            quiet.push('\u{2060}');
        }
        before = letter;
    }
    quiet
}

/// Whether a URL is http(s) with a host, and may be linked.
pub fn is_web_url(url: &str) -> bool {
    url.len() <= MAX_ADDRESS_BYTES
        && reqwest::Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|host| !host.is_empty())
        })
}

/// A link, or just its text when the URL may not be linked.
pub fn link(text: &str, url: &str, max_chars: usize) -> String {
    let text = safe_html(text, max_chars);
    if is_web_url(url) { format!("<a href=\"{}\">{text}</a>", escape(url)) } else { text }
}

/// A text field that is not blank.
pub(crate) fn text_field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nasty_text_cannot_break_out() {
        assert_eq!(
            safe_html("<b>\u{202e}x\n\u{7}y & \"z\"", 50),
            "&lt;b&gt;x y &amp; &quot;z&quot;"
        );
        assert_eq!(clean(&"ü".repeat(100), 10).chars().count(), 10);
    }

    #[test]
    fn nobody_is_called_and_no_command_is_made_by_what_others_wrote() {
        assert_eq!(
            without_mentions("@bob and (#tag) or /stop"),
            "@\u{2060}bob and (#\u{2060}tag) or /\u{2060}stop"
        );
        for same in ["a@b.example 1/2 C# @ /", "https://a.example/b", "<b>x</b>"] {
            assert_eq!(without_mentions(same), same);
        }
    }

    #[test]
    fn only_web_addresses_are_linked() {
        assert_eq!(link("x", "javascript:alert(1)", 10), "x");
        assert_eq!(link("x", "https://", 10), "x");
        assert_eq!(
            link("x", "https://a.example/?a=1&b=\"", 10),
            "<a href=\"https://a.example/?a=1&amp;b=&quot;\">x</a>"
        );
        let long = |bytes: usize| format!("{:x<bytes$}", "https://a.example/");
        assert!(is_web_url(&long(2_048)) && !is_web_url(&long(2_049)));
    }
}
