//! Where a page ended, as an opaque text. It names the last item, not a position, so pages stay right when items are
//! added in front.

/// The last item's day and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its day.
    pub date: String,
    /// Its id.
    pub id: String,
    /// Pages loaded so far, for the page number that is shown.
    pub pages: usize,
}

impl Cursor {
    /// The text that a later request hands back.
    pub fn encode(&self) -> String {
        let plain = format!("1 {} {} {}", self.pages, self.date, self.id);
        plain
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }

    /// Reads such a text; none when it is not one.
    pub fn decode(text: &str) -> Option<Self> {
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
        if parts.next()? != "1" {
            return None;
        }
        let pages = parts.next()?.parse().ok()?;
        let date = parts.next().filter(|date| crate::source::is_date(date))?.to_owned();
        let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        Some(Self { date, id, pages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            date: "2026-01-02".to_owned(),
            id: "https://m.example/a b/é".to_owned(),
            pages: 3,
        };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for bad in ["", "zz", "3", "32203120", "ffff", &"31".repeat(200)] {
            assert_eq!(Cursor::decode(bad), None, "{bad}");
        }
    }
}
