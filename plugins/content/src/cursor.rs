//! The end of a page as an opaque text. It names the last item, not a position, so the next page is right even when items
//! were added before it or the last item was removed.

use crate::day::is_moment;

/// The longest text that a chat stores.
pub const MAX_TEXT: usize = 300;

/// The last item's time and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When it was posted, spelled as in its source. Pages are sorted by it.
    pub at: String,
    /// Its id.
    pub id: String,
    /// The number of items so far, for the page number.
    pub shown: usize,
}

impl Cursor {
    /// The text for a later request; none when it would be too long or could not be decoded.
    pub fn encode(&self) -> Option<String> {
        let plain = format!("2 {} {} {}", self.shown, self.at, self.id);
        let text: String = plain
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect();
        (Self::decode(&text).as_ref() == Some(self)).then_some(text)
    }

    /// Decodes such a text; none when it is invalid.
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let digits: Vec<u32> =
            text.chars().map(|letter| letter.to_digit(16)).collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| match *pair {
                [high, low] => u8::try_from(high * 16 + low).ok(),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let plain = String::from_utf8(bytes).ok()?;
        let mut parts = plain.splitn(4, ' ');
        if parts.next()? != "2" {
            return None;
        }
        let shown = parts.next()?.parse().ok().filter(|shown| *shown <= 1_000_000_000)?;
        let at = parts.next().filter(|at| is_moment(at))?.to_owned();
        let id = parts.next().filter(|id| is_id(id))?.to_owned();
        Some(Self { at, id, shown })
    }
}

/// Whether a text can be an item's id: short enough for a cursor, and without control characters.
pub fn is_id(id: &str) -> bool {
    (1..=100).contains(&id.len()) && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_cursor_is_short_enough_for_a_chat() {
        let cursor = Cursor {
            at: "2026-01-02T03:04:05.123456+00:00".to_owned(),
            id: "é".repeat(50),
            shown: 1_000_000_000,
        };
        let text = cursor.encode().unwrap();
        assert!(text.len() <= MAX_TEXT, "{}", text.len());
        assert_eq!(Cursor::decode(&text), Some(cursor.clone()));
        assert_eq!(Cursor { id: "x".repeat(101), ..cursor }.encode(), None);
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back(id in "\\PC{1,25}", shown in 0_usize..1_000_000, time in "(T[0-9:.]{1,12}(Z|[+-]00:00))?") {
            let cursor = Cursor { at: format!("2026-01-02{time}"), id, shown };
            let text = cursor.encode().unwrap();
            prop_assert_eq!(Cursor::decode(&text), Some(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_of_ours_or_none(text in "[0-9a-fA-F]{0,320}|\\PC{0,60}") {
            if let Some(cursor) = Cursor::decode(&text) {
                prop_assert!(is_moment(&cursor.at) && is_id(&cursor.id));
                prop_assert_eq!(cursor.encode().and_then(|text| Cursor::decode(&text)), Some(cursor));
            }
        }

        #[test]
        fn any_plain_text_behind_the_digits_is_a_cursor_of_ours_or_none(plain in "2 [0-9]{1,3} [-0-9T:. ,()\"]{1,30} [a-z,()\".]{0,20}") {
            let text: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
            if let Some(cursor) = Cursor::decode(&text) {
                prop_assert!(is_moment(&cursor.at) && is_id(&cursor.id));
            }
        }
    }
}
