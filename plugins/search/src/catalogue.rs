//! From the operator's CSV to creators. A bad row is skipped and named, never fatal.

use std::fmt;

use kit::text::{clean, web_address};

/// Longest name that is kept, in characters.
const MAX_NAME_CHARS: usize = 120;
/// Other names of one creator; more are left out.
const MAX_ALIASES: usize = 15;
/// Rows that are read. What an index over so many takes is in docs/search.md.
pub const MAX_ROWS: usize = 300_000;
/// Rows of one kind that are named one by one.
const MAX_NAMED_ROWS: usize = 20;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name to show.
    pub name: String,
    /// The creator's page.
    pub url: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// How many items there are, when the catalogue says so.
    pub item_count: Option<u64>,
}

/// What the operator should know about a catalogue that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noticed {
    /// Rows that were left out.
    pub skipped: Rows,
    /// Rows that were kept without their number of items.
    pub uncounted: Rows,
}

/// Rows with the same trouble.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// The first ones.
    pub named: Vec<NamedRow>,
    /// All of them.
    pub count: usize,
}

impl Rows {
    /// Counts one more; `line` is only asked for while rows are named.
    fn add(&mut self, line: impl FnOnce() -> u64, reason: &'static str) {
        self.count += 1;
        if self.named.len() < MAX_NAMED_ROWS {
            self.named.push(NamedRow { line: line(), reason });
        }
    }
}

/// A row and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedRow {
    /// The line in the file that it begins on, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for NamedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

struct Columns {
    name: usize,
    url: usize,
    aliases: Option<usize>,
    item_count: Option<usize>,
}

impl Columns {
    fn find(header: &csv::ByteRecord) -> Result<Self, String> {
        let find = |names: &[&str]| {
            header.iter().position(|cell| {
                let cell = String::from_utf8_lossy(cell).trim().to_ascii_lowercase();
                names.contains(&cell.as_str())
            })
        };
        let missing = |names: &str| {
            format!(
                "the catalogue's first line has no column {names}; it names the columns, for instance \
                     `model_name,profile_link,aliases,item_count`"
            )
        };
        Ok(Self {
            name: find(&["model_name", "name"]).ok_or_else(|| missing("`model_name` or `name`"))?,
            url: find(&["profile_link", "url"])
                .ok_or_else(|| missing("`profile_link` or `url`"))?,
            aliases: find(&["aliases", "alias"]),
            item_count: find(&["item_count", "items"]),
        })
    }
}

/// Longest row. A quote that is not closed makes one of all that follows, and would pass for a single bad row.
const MAX_ROW_BYTES: usize = 64 << 10;

/// Reads a CSV with a header line, with or without byte order mark, quotes and CRLF, and hands each good row to `take`,
/// which says whether there was room for it. Cells are parted by commas, semicolons or tabs. What could not be used is
/// in what comes back.
///
/// # Errors
///
/// When it is no UTF-8 text or the header lacks the name or the address: then no row could be read.
pub fn read_catalogue(bytes: &[u8], mut take: impl FnMut(Row) -> bool) -> Result<Noticed, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("the catalogue is UTF-16; save it as UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).delimiter(delimiter(bytes)).from_reader(bytes);
    let unreadable = |error| format!("the catalogue cannot be read: {error}");
    let columns = Columns::find(reader.byte_headers().map_err(unreadable)?)?;
    let (mut noticed, mut rows) = (Noticed::default(), 0);
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let text = record.as_slice();
        let line = || record.position().map_or(0, |position| line(bytes, position));
        if MAX_ROW_BYTES < text.len() {
            return Err(format!(
                "line {} of the catalogue goes on for {} bytes: is a quote not closed? At most {MAX_ROW_BYTES} are taken",
                line(),
                text.len()
            ));
        }
        let row = match rows < MAX_ROWS {
            true => read_row(&columns, &record),
            false => Err("more rows than are read"),
        };
        let taken = row.and_then(|(row, counted)| {
            take(row).then_some(counted).ok_or("more text than there is room for")
        });
        match taken {
            Ok(counted) => {
                rows += 1;
                if !counted {
                    noticed.uncounted.add(line, "the number of items is no whole number");
                }
            }
            Err(reason) => noticed.skipped.add(line, reason),
        }
    }
    Ok(noticed)
}

/// The line that a record begins on: its position stands before the empty lines that it was found behind.
fn line(bytes: &[u8], position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).ok().and_then(|byte| bytes.get(byte..));
    let empty = from.unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

/// What the header's cells are parted by: spreadsheets write what their language is used to.
fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| header.iter().filter(|byte| **byte == wanted).count();
    // Of equals the last is the largest, so the comma stands behind.
    [b'\t', b';', b','].into_iter().max_by_key(|byte| count(*byte)).unwrap_or(b',')
}

/// The row, and whether the number of items is one or left out; or why the row cannot be used.
fn read_row(columns: &Columns, record: &csv::ByteRecord) -> Result<(Row, bool), &'static str> {
    let cell = |column: usize| {
        let bytes = record.get(column).unwrap_or_default();
        std::str::from_utf8(bytes).ok().ok_or("not valid UTF-8")
    };
    let optional = |column: Option<usize>| column.map_or(Ok(""), cell);
    let mut names = split_names(cell(columns.name)?);
    if names.is_empty() {
        return Err("no name");
    }
    let url = cell(columns.url)?.trim();
    if !web_address(url) {
        return Err("the address does not begin with https:// or http://, or is no address");
    }
    for alias in optional(columns.aliases)?.split(['|', ';']) {
        let alias = clean(alias, MAX_NAME_CHARS);
        if !alias.is_empty() && !names.contains(&alias) {
            names.push(alias);
        }
    }
    let count = optional(columns.item_count)?.trim();
    // Some programs write whole numbers with a fraction as soon as one cell of the column is empty.
    let item_count = count.strip_suffix(".0").unwrap_or(count).parse().ok();
    let counted = item_count.is_some() || count.is_empty();
    let name = names.remove(0);
    names.truncate(MAX_ALIASES);
    Ok((Row { name, url: url.to_owned(), aliases: names, item_count }, counted))
}

/// `A / B | C (D)` names one creator four times; the first is shown.
fn split_names(cell: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in cell.split(['/', '|', '(', ')']) {
        let name = clean(part, MAX_NAME_CHARS);
        if name.chars().any(char::is_alphanumeric) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(csv: impl AsRef<[u8]>) -> (Vec<Row>, Noticed) {
        let mut rows = Vec::new();
        let noticed = read_catalogue(csv.as_ref(), |row| {
            rows.push(row);
            true
        });
        (rows, noticed.unwrap())
    }

    fn names(row: &Row) -> Vec<&str> {
        std::iter::once(&row.name).chain(&row.aliases).map(String::as_str).collect()
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let (rows, _) =
            read("\u{feff}URL,Items,Name\r\nhttps://c.example/a,12,\"Ann, \"\"Lee\"\"\"\r\n");
        assert_eq!(rows[0].name, "Ann, \"Lee\"");
        assert_eq!(rows[0].item_count, Some(12));
    }

    #[test]
    fn a_spreadsheet_in_another_language_parts_cells_by_semicolons() {
        let (rows, _) = read("name;url;items\nA;https://c.example/a;7\n");
        assert_eq!((rows[0].name.as_str(), rows[0].item_count), ("A", Some(7)));
    }

    #[test]
    fn one_cell_may_hold_several_names() {
        let (rows, _) = read("name,url,aliases\nA / B | C (D),https://c.example/a,E|B; \n");
        assert_eq!(names(&rows[0]), ["A", "B", "C", "D", "E"]);
        let many: Vec<String> = (0..40).map(|n| format!("n{n}")).collect();
        let (rows, _) = read(format!("name,url\n{},https://c.example/a\n", many.join("|")));
        assert_eq!(names(&rows[0]).len(), 1 + MAX_ALIASES);
    }

    #[test]
    fn bad_rows_are_skipped_and_named_by_line() {
        let (rows, Noticed { skipped, .. }) = read(
            b"name,url\nA,https://c.example/a\n,https://c.example/b\n\n\"two\nlines\",javascript:x\n\xff\xfe,https://c.example/d\nE,https://c.example/e\n",
        );
        assert_eq!(rows.len(), 2);
        let named: Vec<String> = skipped.named.iter().map(ToString::to_string).collect();
        assert_eq!(named[0], "line 3: no name");
        assert!(named[1].starts_with("line 5: the address"), "{named:?}");
        assert_eq!(named[2], "line 7: not valid UTF-8");
        assert_eq!(skipped.count, 3);
    }

    #[test]
    fn a_thousand_bad_rows_are_counted_and_the_first_named() {
        let (rows, Noticed { skipped, .. }) =
            read(format!("name,url\n{}", "A,nowhere\n".repeat(1_000)));
        assert_eq!((rows.len(), skipped.count, skipped.named.len()), (0, 1_000, MAX_NAMED_ROWS));
    }

    #[test]
    fn a_catalogue_above_the_bound_is_read_up_to_it() {
        let text = format!("name,url\n{}", "A,http://a\n".repeat(MAX_ROWS + 2));
        let (rows, Noticed { skipped, .. }) = read(text);
        assert_eq!((rows.len(), skipped.count), (MAX_ROWS, 2));
        assert_eq!(skipped.named[0].line, MAX_ROWS as u64 + 2);
        assert_eq!(skipped.named[0].reason, "more rows than are read");
    }

    #[test]
    fn a_file_that_no_row_can_be_read_from_says_why() {
        for (bytes, part) in [
            (b"a,b\n1,2\n".as_slice(), "`model_name` or `name`"),
            (b"name\nA\n", "`profile_link` or `url`"),
            (b"", "`model_name` or `name`"),
            (b"\xff\xfen\0a\0", "UTF-16"),
        ] {
            let error = read_catalogue(bytes, |_| true).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_refuses_the_file() {
        let rest = "Name,https://creators.example/name,1\n".repeat(3_000);
        let text = format!("name,url,items\n\"Luna,https://creators.example/luna,1\n{rest}");
        let error = read_catalogue(text.as_bytes(), |_| true).unwrap_err();
        assert!(error.starts_with("line 2 of the catalogue goes on for"), "{error}");
    }

    #[test]
    fn a_count_with_an_empty_fraction_is_a_count() {
        let (rows, noticed) = read("name,url,items\nA,https://creators.example/a,96.0\n");
        assert_eq!((rows[0].item_count, noticed), (Some(96), Noticed::default()));
    }

    #[test]
    fn a_count_that_is_no_number_is_named_by_line_and_the_creator_kept() {
        let (rows, noticed) = read(
            "name,url,items\nA,http://a,12\n\nB,http://b,about 90\nC,http://c,\nD,http://d,-1\nE,http://e\n,http://f,x\n",
        );
        let counts: Vec<_> = rows.iter().map(|row| row.item_count).collect();
        assert_eq!(counts, [Some(12), None, None, None, None]);
        let named: Vec<_> = noticed.uncounted.named.iter().map(ToString::to_string).collect();
        let said = |line| format!("line {line}: the number of items is no whole number");
        assert_eq!((named, noticed.uncounted.count), (vec![said(4), said(6)], 2));
        assert_eq!(noticed.skipped.count, 1, "a row that is left out is not named twice");
        let (_, many) = read(format!("name,url,items\n{}", "A,http://a,x\n".repeat(1_000)));
        assert_eq!((many.uncounted.named.len(), many.uncounted.count), (MAX_NAMED_ROWS, 1_000));
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_every_row_that_is_kept_can_be_shown(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let (rows, _) = read([b"name,url,aliases\n".as_slice(), &bytes].concat());
            for row in rows {
                prop_assert!(web_address(&row.url));
                for name in names(&row) {
                    prop_assert!(!name.is_empty() && name.chars().count() <= MAX_NAME_CHARS);
                    prop_assert!(!name.chars().any(char::is_control), "{name:?}");
                }
            }
        }

        #[test]
        fn what_a_spreadsheet_writes_is_read_as_it_was(
            rows in prop::collection::vec(("[a-zA-Z,\"';\\n éü]{0,20}[a-z]", 0_u64..1_000), 0..20),
            crlf in any::<bool>(),
            mark in any::<bool>(),
        ) {
            let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().terminator(end).from_writer(Vec::new());
            writer.write_record(["model_name", "profile_link", "item_count"]).unwrap();
            for (name, count) in &rows {
                writer.write_record([name, "https://c.example/x", &count.to_string()]).unwrap();
            }
            let mut bytes = if mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            bytes.extend(writer.into_inner().unwrap());
            let (found, noticed) = read(bytes);
            prop_assert_eq!(noticed, Noticed::default());
            let found: Vec<_> = found.into_iter().map(|row| (row.name, row.item_count)).collect();
            let wanted: Vec<_> = rows
                .iter()
                .map(|(name, count)| (clean(name, MAX_NAME_CHARS), Some(*count)))
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
