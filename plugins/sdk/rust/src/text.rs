//! Text that is safe to show.

/// Longest address that may be shown, in bytes: what browsers and proxies commonly accept. The coordinator has the same
/// limit, so it shows every address that a plugin accepts.
pub const MAX_ADDRESS_BYTES: usize = 2_048;

/// Text that a view's markup shows as it is: what a person or a service wrote, inside [`crate::View::text`].
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\`*_[]<>#~".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Removes control characters and marks that change the writing direction, which could disguise or break a text. White space
/// becomes single spaces, and at most `max_chars` characters are kept.
pub fn clean(text: &str, max_chars: usize) -> String {
    let mut clean = String::new();
    let mut space = false;
    for letter in text.chars().filter(|letter| !disguises(*letter)) {
        if letter.is_whitespace() || letter.is_control() {
            space = !clean.is_empty();
            continue;
        }
        if space {
            clean.push(' ');
            space = false;
        }
        clean.push(letter);
    }
    clean.chars().take(max_chars).collect::<String>().trim_end().to_owned()
}

/// [`clean`] that keeps lines and spaces.
pub(crate) fn clean_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let shown = text.chars().filter(|letter| !disguises(*letter));
    let shown =
        shown.map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter });
    shown.collect::<String>().trim().to_owned()
}

/// Bidirectional controls (Unicode TR 9), characters without width, marks for annotations, and the byte order mark.
fn disguises(letter: char) -> bool {
    matches!(
        letter,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    )
}

/// Whether a text is an http(s) address that may be shown as a link.
pub fn web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        text.len() <= MAX_ADDRESS_BYTES
            && rest
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'[')
            && !text
                .chars()
                .any(|letter| letter.is_whitespace() || letter.is_control() || disguises(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_disguise_are_removed_and_spaces_folded() {
        assert_eq!(clean("  Lu\u{202e}na\n\tMarlowe\u{200b} ", 100), "Luna Marlowe");
        assert_eq!(clean("Lu\u{ad}na\u{2066} Mar\u{fff9}lowe", 100), "Luna Marlowe");
        assert_eq!(clean("abcdef", 3), "abc");
        assert_eq!(clean_lines(" a  b\r\nc\u{202e}\td\n"), "a  b\nc d");
    }

    #[test]
    fn markup_of_others_is_shown_as_it_is() {
        assert_eq!(escape("*a* [b](c) <d> 1_2"), "\\*a\\* \\[b\\](c) \\<d\\> 1\\_2");
    }

    #[test]
    fn only_web_addresses_are_links() {
        assert!(web_address("https://creators.example/luna"));
        let long = |bytes: usize| format!("{:x<bytes$}", "https://creators.example/");
        assert!(web_address(&long(2_048)) && !web_address(&long(2_049)));
        for bad in [
            "javascript:alert(1)",
            "https://",
            "ftp://a",
            "https://a b",
            "//a.example",
            "https://a.example/\u{202e}gpj",
        ] {
            assert!(!web_address(bad), "{bad}");
        }
    }
}
