//! Splits a text that is too long for one message. Pure.
//!
//! A part ends at the end of a line, or of a word when no line ends in its second half, or between two letters. Open tags
//! are closed and opened again in the next part. A character reference (`&amp;`) or a letter with its combining characters
//! (an accent, a joiner, a skin tone) stays whole.

/// Bot API: a message has 1–4096 characters after its markup is read; Telegram counts UTF-16 units.
pub const MESSAGE_UNITS: usize = 4_096;

/// Longest character reference, `&#x10ffff;`.
const REFERENCE_BYTES: usize = 10;

/// The parts, each with at most `most` UTF-16 units of text and with all its tags closed. Parts without a visible letter
/// are left out: Telegram refuses them.
pub fn split(html: &str, most: usize) -> Vec<String> {
    let tokens = tokens(html);
    let mut parts = Vec::new();
    let mut open = Vec::new();
    let mut rest = tokens.as_slice();
    while !rest.is_empty() {
        let Some((part, behind)) = rest.split_at_checked(length(rest, most)) else { break };
        let text = close(part, &mut open);
        if part.iter().any(Token::is_visible) {
            parts.push(text);
        }
        rest = behind;
    }
    parts
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// `<b>`, `<a href="…">`.
    Open(&'a str),
    /// `</b>`.
    Close,
    /// One letter or one reference.
    Letter { text: &'a str, units: usize },
}

impl Token<'_> {
    fn is_visible(&self) -> bool {
        matches!(self, Self::Letter { text, .. } if !text.trim().is_empty())
    }

    fn is_space(&self) -> bool {
        matches!(self, Self::Letter { text, .. } if text.trim().is_empty())
    }

    /// Whether it belongs to the letter before.
    fn joins(&self) -> bool {
        let Self::Letter { text, .. } = self else { return false };
        matches!(
            text.chars().next(),
            Some(
                '\u{200d}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{300}'..='\u{36f}'
                | '\u{20d0}'..='\u{20ff}'
                | '\u{1f3fb}'..='\u{1f3ff}'
                | '\u{e0020}'..='\u{e007f}',
            )
        )
    }

    /// Whether the next letter belongs to it.
    fn is_joiner(&self) -> bool {
        matches!(self, Self::Letter { text: "\u{200d}", .. })
    }
}

fn tokens(html: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = html;
    while let Some(letter) = rest.chars().next() {
        let (token, length) = match letter {
            '<' => tag(rest),
            '&' => reference(rest),
            _ => None,
        }
        .unwrap_or_else(|| {
            let text = rest.get(..letter.len_utf8()).unwrap_or(rest);
            (Token::Letter { text, units: letter.len_utf16() }, text.len())
        });
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn tag(rest: &str) -> Option<(Token<'_>, usize)> {
    let tag = rest.get(..=rest.find('>')?)?;
    let token = if tag.starts_with("</") { Token::Close } else { Token::Open(tag) };
    Some((token, tag.len()))
}

/// A reference that stands for one letter.
fn reference(rest: &str) -> Option<(Token<'_>, usize)> {
    let end = rest.bytes().take(REFERENCE_BYTES).position(|byte| byte == b';')?;
    let text = rest.get(..=end)?;
    let name = rest.get(1..end)?;
    let number = name.strip_prefix('#').and_then(|digits| {
        let hex = digits.strip_prefix('x').or(digits.strip_prefix('X'));
        match hex {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        }
    });
    let units = match number.and_then(char::from_u32) {
        Some(letter) => letter.len_utf16(),
        None if matches!(name, "lt" | "gt" | "amp" | "quot") => 1,
        None => return None,
    };
    Some((Token::Letter { text, units }, text.len()))
}

/// How many tokens the first part takes; at least one.
fn length(tokens: &[Token<'_>], most: usize) -> usize {
    // Where the part may end: after a line, a word, a letter.
    let mut line = None;
    let mut word = None;
    let mut letter = None;
    let mut units = 0;
    for (index, token) in tokens.iter().enumerate() {
        let Token::Letter { text, units: more } = token else { continue };
        units += more;
        if most < units {
            let cut = line.or(word).or(letter).unwrap_or(index).max(1);
            // Closing tags right after the cut belong to this part.
            let closed = tokens.iter().skip(cut).take_while(|token| **token == Token::Close);
            return cut + closed.count();
        }
        let here = Some(index + 1);
        // An end in the first half would make a short message before a long one.
        if most <= units * 2 {
            if *text == "\n" {
                line = here;
            } else if token.is_space() {
                word = here;
            }
        }
        let next = tokens.get(index + 1);
        if !token.is_joiner() && !next.is_some_and(Token::joins) {
            letter = here;
        }
    }
    tokens.len()
}

/// A part with the tags that are open before it, and closed behind it. `open` is kept up to date.
fn close<'a>(part: &[Token<'a>], open: &mut Vec<&'a str>) -> String {
    let mut text = open.concat();
    for token in part {
        match token {
            Token::Open(tag) => {
                open.push(tag);
                text.push_str(tag);
            }
            Token::Close => {
                if let Some(tag) = open.pop() {
                    text.push_str(&closing(tag));
                }
            }
            Token::Letter { text: letter, .. } => text.push_str(letter),
        }
    }
    text.extend(open.iter().rev().map(|tag| closing(tag)));
    text
}

fn closing(tag: &str) -> String {
    let name = tag.trim_start_matches('<').trim_end_matches('>');
    format!("</{}>", name.split_whitespace().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simulator::markup::{Formatted, html};

    use super::*;

    #[track_caller]
    fn check(text: &str, most: usize, expected: &[&str]) {
        assert_eq!(split(text, most), expected, "{text}");
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let text = "<b>Hi</b> &amp; <a href=\"https://a.example/?a=1&amp;b\">there</a>";
        check(text, MESSAGE_UNITS, &[text]);
        check("", 10, &[]);
        check(" \n <b> </b>", 10, &[]);
    }

    #[test]
    fn it_ends_behind_a_line_or_else_a_word_or_else_a_letter() {
        check("one two\nthree", 9, &["one two\n", "three"]);
        check("one two three", 9, &["one two ", "three"]);
        check("a bcdefghijk", 8, &["a bcdefg", "hijk"]);
    }

    #[test]
    fn open_tags_are_closed_and_opened_again() {
        check(
            "<b>bold <a href=\"https://a.example\">linked text</a></b> x",
            12,
            &[
                "<b>bold <a href=\"https://a.example\">linked </a></b>",
                "<b><a href=\"https://a.example\">text</a></b> x",
            ],
        );
        check("<b>abcd</b>ef", 4, &["<b>abcd</b>", "ef"]);
    }

    #[test]
    fn references_surrogates_and_joined_letters_stay_whole() {
        check("ab&amp;&#128512;c", 3, &["ab&amp;", "&#128512;c"]);
        check("ab😀", 3, &["ab", "😀"]);
        check("abe\u{301}f", 3, &["ab", "e\u{301}f"]);
        check("a👩\u{200d}💻", 5, &["a", "👩\u{200d}💻"]);
        check("1 < 2 & 3", 6, &["1 < 2 ", "& 3"]);
    }

    /// Nested HTML as our own code writes it.
    fn markup() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z \n]{1,12}",
            Just("&lt;".to_owned()),
            Just("&#128512;".to_owned()),
            Just("😀".to_owned()),
            Just("e\u{301}".to_owned()),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let tag = prop_oneof![
                Just("b"),
                Just("i"),
                Just("code"),
                Just("a href=\"https://a.example\"")
            ];
            (tag, prop::collection::vec(inner, 1..6)).prop_map(|(tag, inside)| {
                format!("<{tag}>{}{}", inside.concat(), closing(&format!("<{tag}>")))
            })
        })
    }

    /// Which formats each UTF-16 unit that is no space has; formats of spaces nobody sees.
    fn formats(formatted: &Formatted) -> Vec<(u16, Vec<String>)> {
        let number = |entity: &serde_json::Value, name: &str| entity[name].as_u64().unwrap_or(0);
        let units = formatted.text.encode_utf16().zip(0_u64..);
        units
            .filter(|(unit, _)| *unit != u16::from(b' ') && *unit != u16::from(b'\n'))
            .map(|(unit, index)| {
                let covers = formatted.entities.iter().filter(|entity| {
                    let start = number(entity, "offset");
                    (start..start + number(entity, "length")).contains(&index)
                });
                let mut kinds: Vec<String> =
                    covers.map(|entity| entity["type"].to_string()).collect();
                kinds.sort();
                kinds.dedup();
                (unit, kinds)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_part_is_taken(text in markup(), most in 4_usize..40) {
            let parts = split(&text, most);
            let mut shown = Vec::new();
            for part in &parts {
                let read = html(part).map_err(TestCaseError::fail)?;
                prop_assert!(read.text.encode_utf16().count() <= most, "{}", part);
                prop_assert!(!read.text.trim().is_empty());
                shown.extend(formats(&read));
            }
            prop_assert_eq!(shown, formats(&html(&text).map_err(TestCaseError::fail)?));
        }

        #[test]
        fn any_text_at_all_comes_to_an_end(text in ".{0,80}", most in 1_usize..10) {
            split(&text, most);
        }
    }
}
