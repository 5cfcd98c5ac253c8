//! Texts of plugins and people, cleaned and cut. They are not escaped here.

use serde_json::Value;
use url::Url;

/// Longest URL that is linked, in bytes; the plugins have the same limit.
pub const MAX_ADDRESS_BYTES: usize = 2_048;

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
pub(crate) fn cut(text: String, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text;
    }
    let mut cut: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Whether a URL is http(s) with a host, and may be linked.
pub fn is_web_url(url: &str) -> bool {
    url.len() <= MAX_ADDRESS_BYTES
        && Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|host| !host.is_empty())
        })
}

/// A text field that is not blank.
pub fn text_field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_with_an_ellipsis() {
        assert_eq!(clean(&"ü".repeat(100), 10), "ü".repeat(9) + "…");
        assert_eq!(clean_lines(" a\r\nb\u{202e} ", 10), "a\nb");
    }

    #[test]
    fn an_address_is_of_the_web_and_not_too_long() {
        let long = |bytes: usize| format!("{:x<bytes$}", "https://a.example/");
        assert!(is_web_url(&long(MAX_ADDRESS_BYTES)) && !is_web_url(&long(MAX_ADDRESS_BYTES + 1)));
        assert!(!is_web_url("javascript:alert(1)") && !is_web_url("https://"));
    }
}
