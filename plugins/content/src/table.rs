//! Reads the operator's CSV into items, newest first.

use std::borrow::Cow;

use freefans_plugin::text::{clean, web_address};
use kit::sheet::{Column, Holds, Row as SheetRow, Rows, Sheet};
use kit::text::without_entities;

use crate::cursor::is_id;
use crate::day::is_date;
use crate::fingerprint::fingerprint;
use crate::item::{Item, Kind};

const MAX_TITLE_CHARS: usize = 160;
/// A header line, for error messages.
const EXAMPLE: &str = "creator_url,creator_name,title,url,type,posted_at";

const COLUMNS: [Column; 6] = [
    Column { names: &["creator_url"], holds: Holds::Address },
    Column { names: &["creator_name"], holds: Holds::Text },
    Column { names: &["title"], holds: Holds::Text },
    Column { names: &["url"], holds: Holds::Address },
    Column { names: &["type"], holds: Holds::Text },
    Column { names: &["posted_at"], holds: Holds::Text },
];

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

/// A report for the operator about a table that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noticed {
    /// How many rows were accepted.
    pub accepted: usize,
    /// Rows that were left out.
    pub skipped: Rows,
    /// Accepted rows with fewer cells than the header, or with extra cells that are not blank.
    pub ragged: Rows,
    /// Remarks about the lines above the rows.
    pub remarks: Vec<String>,
}

impl Noticed {
    /// The line for the log after the table was loaded.
    pub fn told(&self) -> String {
        let rows = [
            self.skipped.told("skipped"),
            self.ragged.told("with another number of cells than the header"),
        ];
        let mut text = format!("content: {} items", self.accepted);
        for told in rows.into_iter().flatten() {
            text.push_str("; ");
            text.push_str(&told);
        }
        text
    }
}

impl Table {
    /// How many items there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Reads a CSV with the columns `creator_url, creator_name, title, url, type, posted_at` in any order, as
    /// spreadsheets save it ([`kit::sheet`]), and names the rows that were left out.
    ///
    /// # Errors
    ///
    /// What is wrong with the file as a whole, with its line.
    pub fn read(bytes: &[u8]) -> Result<(Self, Noticed), String> {
        let mut sheet = Sheet::open("content table", bytes, &COLUMNS, EXAMPLE)?;
        let mut noticed = Noticed { remarks: sheet.remarks().to_vec(), ..Noticed::default() };
        let mut rows = Vec::new();
        while let Some(found) = sheet.next_row()? {
            if found.is_blank() || found.is_comment() {
                continue;
            }
            match read_row(&found) {
                Ok(row) => {
                    rows.push(row);
                    if found.ragged {
                        noticed.ragged.add(found.line, "another number of cells than the header");
                    }
                }
                Err(reason) => noticed.skipped.add(found.line, reason),
            }
        }
        noticed.accepted = rows.len();
        if let Some(first) = noticed.skipped.named.first().filter(|_| rows.is_empty()) {
            return Err(format!(
                "none of the {} rows of the content table can be used; {first}",
                noticed.skipped.count
            ));
        }
        rows.sort_by(|a, b| b.item.key().cmp(&a.item.key()));
        Ok((Self { rows }, noticed))
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

fn read_row(row: &SheetRow<'_, 6>) -> Result<Row, Cow<'static, str>> {
    let mut cells = [""; 6];
    for (column, cell) in cells.iter_mut().enumerate() {
        *cell = row.cell(column)?.trim();
    }
    let [creator_url, creator_name, title, url, kind, date] = cells;
    if row.too_short_for(COLUMNS.len() - 1) {
        return Err(format!(
            "fewer cells than the header; cells are separated by {}",
            row.separator()
        )
        .into());
    }
    if !web_address(url) || !web_address(creator_url) {
        return Err("an address does not begin with https:// or http://".into());
    }
    let kind =
        Kind::parse(&kind.to_ascii_lowercase()).ok_or("`type` is neither `picture` nor `video`")?;
    if !is_date(date) {
        return Err("`posted_at` is not a date like 2026-03-01".into());
    }
    let title = clean(&without_entities(title), MAX_TITLE_CHARS);
    let title = if title.is_empty() { "Untitled".to_owned() } else { title };
    let item = Item { id: id_of(url), title, url: url.to_owned(), kind, date: date.to_owned() };
    let creator_name = without_entities(creator_name).into_owned();
    Ok(Row { creator_url: creator_url.to_owned(), creator_name, item })
}

/// An item's id in the table is its address. A long address is cut and a hash added, so that it fits into a cursor.
fn id_of(url: &str) -> String {
    if is_id(url) {
        return url.to_owned();
    }
    let mut start = String::new();
    for letter in url.chars().take_while(|letter| !letter.is_control()) {
        if start.len() + letter.len_utf8() > 80 {
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
        let (table, noticed) = Table::read(csv).unwrap();
        let titles: Vec<&str> =
            table.of(Some("https://c.example/a"), "").map(|item| item.title.as_str()).collect();
        assert_eq!(titles, ["New", "Old"]);
        assert_eq!((noticed.accepted, noticed.skipped.count), (2, 2));
        assert!(noticed.skipped.named[0].to_string().starts_with("line 4"), "{noticed:?}");
        assert_eq!(noticed.told(), "content: 2 items; 2 rows skipped");
        assert_eq!(table.of(None, "a").count(), 2);
    }

    #[test]
    fn a_table_is_read_as_spreadsheets_save_it() {
        let csv = "sep=;\r\n Creator URL ;creator_name;Title;url;Type;Posted At;\r\nhttps://c.example/a;\"A &amp; Co\";\"Tom &amp; Ann\";https://m.example/1;Video;2026-01-01;\r\n";
        for csv in [
            csv.to_owned(),
            csv.replace(';', "\t").replace("amp\t", "amp;"),
            format!("\u{feff}\r\n{csv}"),
        ] {
            let (table, noticed) = Table::read(csv.as_bytes()).unwrap();
            assert_eq!(noticed, Noticed { accepted: 1, ..Noticed::default() });
            assert_eq!(table.rows[0].item.title, "Tom & Ann");
            assert_eq!(table.of(None, "A & Co").count(), 1);
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_and_a_table_without_a_good_row_are_refused() {
        let head = "creator_url,creator_name,title,url,type,posted_at\n";
        let row = |n: usize, title: &str| {
            format!("https://c.example/a,A,{title},https://m.example/{n},picture,2026-01-01\n")
        };
        let rows: String = (0..300).map(|n| row(n, "T")).collect();
        for (bad, part) in [
            (row(0, "\"T"), "line 2 of the content table opens a quote that is never closed"),
            (
                row(0, "\"T") + &row(1, "T\""),
                "line 2 of the content table opens a quote that takes line 3",
            ),
            (
                row(0, "\"T") + &row(1, "\"T\""),
                "line 2 of the content table opens a quote that ends on line 3",
            ),
        ] {
            let error = Table::read(format!("{head}{bad}{rows}").as_bytes()).unwrap_err();
            assert!(error.starts_with(part), "{error}");
        }
        let error = Table::read(format!("{head}a,b,c,d,e,f\n").as_bytes()).unwrap_err();
        assert!(
            error.starts_with("none of the 1 rows of the content table can be used; line 2"),
            "{error}"
        );
        assert_eq!(Table::read(head.as_bytes()).unwrap().1, Noticed::default());
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
