//! From the operator's CSV to items, newest first.

use kit::text::{clean, web_address};

use crate::cursor::is_id;
use crate::day::is_date;
use crate::stored::fingerprint;

const MAX_TITLE_CHARS: usize = 160;
const MAX_NAMED_ROWS: usize = 20;

/// Picture or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    Picture,
    /// A video.
    Video,
}

impl Kind {
    /// The published word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Video => "video",
        }
    }

    /// From the published word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "picture" => Some(Self::Picture),
            "video" => Some(Self::Video),
            _ => None,
        }
    }
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique among all items; orders items of one day.
    pub id: String,
    /// What to show.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// What it is.
    pub kind: Kind,
    /// The day it was posted, `YYYY-MM-DD`.
    pub date: String,
}

impl Item {
    /// The key that pages are cut by: newest first, then the larger id.
    pub fn key(&self) -> (&str, &str) {
        (&self.date, &self.id)
    }
}

struct Row {
    creator_url: String,
    creator_name: String,
    item: Item,
}

/// All items.
pub struct Table {
    rows: Vec<Row>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("rows", &self.rows.len()).finish()
    }
}

impl Table {
    /// How many items there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Reads a CSV with the columns `creator_url, creator_name, title, url, type, posted_at` in any order, and names
    /// the rows that were left out.
    ///
    /// # Errors
    ///
    /// When a column is missing.
    pub fn read(bytes: &[u8]) -> Result<(Self, Vec<String>), String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header = reader
            .headers()
            .map_err(|error| format!("the content table cannot be read: {error}"))?;
        let find = |name: &str| {
            header
                .iter()
                .position(|cell| cell.trim().eq_ignore_ascii_case(name))
                .ok_or_else(|| format!("the content table's first line has no column `{name}`"))
        };
        let columns = [
            find("creator_url")?,
            find("creator_name")?,
            find("title")?,
            find("url")?,
            find("type")?,
            find("posted_at")?,
        ];
        let (mut rows, mut skipped) = (Vec::new(), Vec::new());
        let mut record = csv::StringRecord::new();
        loop {
            let row = match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    read_row(&columns.map(|column| record.get(column).unwrap_or_default().trim()))
                }
                Err(_) => Err("not valid UTF-8"),
            };
            match row {
                Ok(row) => rows.push(row),
                Err(reason) if skipped.len() < MAX_NAMED_ROWS => {
                    let line = record.position().map_or(0, csv::Position::line);
                    skipped.push(format!("line {line}: {reason}"));
                }
                Err(_) => {}
            }
        }
        rows.sort_by(|a, b| b.item.key().cmp(&a.item.key()));
        Ok((Self { rows }, skipped))
    }

    #[cfg(test)]
    pub(crate) fn remove(&mut self, id: &str) {
        self.rows.retain(|row| row.item.id != id);
    }

    /// A creator's items, newest first; by address, or by name when the address is not known.
    pub fn of<'a>(
        &'a self,
        creator_url: Option<&'a str>,
        creator_name: &'a str,
    ) -> impl Iterator<Item = &'a Item> {
        self.rows
            .iter()
            .filter(move |row| match creator_url {
                Some(url) => row.creator_url == url,
                None => row.creator_name.eq_ignore_ascii_case(creator_name),
            })
            .map(|row| &row.item)
    }
}

fn read_row(cells: &[&str; 6]) -> Result<Row, &'static str> {
    let [creator_url, creator_name, title, url, kind, date] = *cells;
    if !web_address(url) || !web_address(creator_url) {
        return Err("an address does not begin with https:// or http://");
    }
    let kind = Kind::parse(kind).ok_or("`type` is neither `picture` nor `video`")?;
    if !is_date(date) {
        return Err("`posted_at` is not a date like 2026-03-01");
    }
    let title = clean(title, MAX_TITLE_CHARS);
    let title = if title.is_empty() { "Untitled".to_owned() } else { title };
    let item = Item { id: id_of(url), title, url: url.to_owned(), kind, date: date.to_owned() };
    Ok(Row { creator_url: creator_url.to_owned(), creator_name: creator_name.to_owned(), item })
}

/// An item's id in the table is its address; a long one is cut and made unique again, so that it fits into a cursor.
fn id_of(url: &str) -> String {
    if is_id(url) {
        return url.to_owned();
    }
    let mut start = String::new();
    for letter in url.chars().take_while(|letter| !letter.is_control()) {
        if 80 < start.len() + letter.len_utf8() {
            break;
        }
        start.push(letter);
    }
    format!("{start}~{:016x}", fingerprint(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_newest_first_and_bad_rows_are_named() {
        let csv = b"creator_url,creator_name,title,url,type,posted_at\n\
            https://c.example/a,A,Old,https://m.example/1,picture,2025-01-01\n\
            https://c.example/a,A,New,https://m.example/2,video,2026-01-01\n\
            https://c.example/a,A,Bad,https://m.example/3,song,2026-01-01\n\
            https://c.example/a,A,Bad,https://m.example/4,video,2026-13-01\n";
        let (table, skipped) = Table::read(csv).unwrap();
        let titles: Vec<&str> =
            table.of(Some("https://c.example/a"), "").map(|item| item.title.as_str()).collect();
        assert_eq!(titles, ["New", "Old"]);
        assert_eq!(skipped.len(), 2);
        assert!(skipped[0].starts_with("line 4"), "{skipped:?}");
        assert_eq!(table.of(None, "a").count(), 2);
    }

    #[test]
    fn long_addresses_have_short_ids_of_their_own() {
        let long = |end: &str| format!("https://m.example/{}{end}", "é".repeat(80));
        assert_eq!(id_of("https://m.example/1"), "https://m.example/1");
        assert!(is_id(&id_of(&long("a"))));
        assert_ne!(id_of(&long("a")), id_of(&long("b")));
        assert_eq!(id_of(&long("a")), id_of(&long("a")));
    }
}
