//! Text from people and plugins made safe to show: cut, cleaned and escaped.

pub use chat_commands::text::{clean, clean_lines, is_web_url, text_field, without_controls};

/// Text escaped for Telegram's HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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

/// A link, or just its text when the URL may not be linked.
pub fn link(text: &str, url: &str, max_chars: usize) -> String {
    let text = safe_html(text, max_chars);
    if is_web_url(url) { format!("<a href=\"{}\">{text}</a>", escape(url)) } else { text }
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
    }
}
