//! Decodes HTML's character references (`&amp;`, `&#39;`, `&hellip;`).

use std::borrow::Cow;

/// The named ones of the HTML standard (section 13.5), each as `name code[,code]` in hexadecimal, one a line.
const NAMED: &str = include_str!("entities.txt");
/// Longest reference that is looked for, in bytes: the longest name has 31 letters.
const MAX_BYTES: usize = 34;

/// Decodes every reference once: `&amp;lt;` becomes `&lt;`. A lone `&` stays. The result is text, not markup: escape it
/// again before it goes into markup.
pub fn without_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        match reference(behind) {
            Some((letters, behind)) => {
                plain.push_str(&letters);
                rest = behind;
            }
            None => {
                plain.push('&');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Decodes the reference after an `&`, and returns the rest of the text.
fn reference(text: &str) -> Option<(String, &str)> {
    let end = text.bytes().take(MAX_BYTES).position(|byte| byte == b';')?;
    let (name, behind) = text.split_at_checked(end)?;
    let behind = behind.strip_prefix(';')?;
    let letters = match name.strip_prefix('#') {
        Some(number) => numbered(number)?.to_string(),
        None => named(name)?,
    };
    Some((letters, behind))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    // The standard reads these as Windows-1252, which many pages intend.
    let code = match code {
        0x80..=0x9f => usize::try_from(code - 0x80)
            .ok()
            .and_then(|place| WINDOWS.get(place))
            .map_or(code, |code| *code),
        _ => code,
    };
    Some(
        char::from_u32(code)
            .filter(|letter| *letter != '\0')
            .unwrap_or(char::REPLACEMENT_CHARACTER),
    )
}

/// What 0x80 to 0x9F stand for in Windows-1252.
const WINDOWS: [u32; 32] = [
    0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
];

fn named(name: &str) -> Option<String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let codes = NAMED.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let letter = |code: &str| u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    codes.split(',').map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_its_letter_and_everything_else_stays() {
        for (written, read) in [
            ("Tom &amp; Ann&#39;s &lt;corner&gt;", "Tom & Ann's <corner>"),
            ("Ann&hellip;", "Ann…"),
            ("&quot;x&quot; &#x1F600; &#X41;&nbsp;b", "\"x\" 😀 A\u{a0}b"),
            ("&Auml;&szlig;&ngE;&CounterClockwiseContourIntegral;", "Äß≧\u{338}∳"),
            ("&amp;lt;", "&lt;"),
            ("&#150;&#128;", "–€"),
            ("R&D; AT&T & co", "R&D; AT&T & co"),
            ("&; &#; &#x; &#12a; &nosuchname; &", "&; &#; &#x; &#12a; &nosuchname; &"),
            ("&#0;&#xd800;&#99999999999;", "\u{fffd}\u{fffd}\u{fffd}"),
            ("no reference", "no reference"),
        ] {
            assert_eq!(without_entities(written), read, "{written}");
        }
    }

    #[test]
    fn every_named_reference_of_the_table_is_read() {
        for line in NAMED.lines() {
            let name = line.split(' ').next().unwrap();
            let read = without_entities(&format!("a&{name};b")).into_owned();
            assert!(!read.contains('&') || name.eq_ignore_ascii_case("amp"), "{name}: {read}");
        }
    }
}
