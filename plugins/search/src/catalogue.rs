//! From the operator's CSV to creators. A bad row is skipped and named, never fatal.

use std::fmt;

use kit::text::{clean, web_address};

/// Longest name that is kept, in characters.
const MAX_NAME_CHARS: usize = 120;
/// Skipped rows that are named one by one.
const MAX_NAMED_ROWS: usize = 20;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// The name to show.
    pub name: String,
    /// The creator's page.
    pub url: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// How many items there are, when the catalogue says so.
    pub item_count: Option<u64>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// The creators, in the order of the file.
    pub creators: Vec<Creator>,
    /// What was left out; the first ones.
    pub skipped: Vec<SkippedRow>,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRow {
    /// Its line in the file, from 1; 0 when the reader cannot tell.
    pub line: u64,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for SkippedRow {
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
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let find = |names: &[&str]| {
            header.iter().position(|cell| {
                let cell = cell.trim().trim_start_matches('\u{feff}').to_ascii_lowercase();
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

/// Reads a CSV with a header line, with or without byte order mark, quotes and CRLF.
///
/// # Errors
///
/// When the header lacks the name or the address: then no row could be read.
pub fn read_catalogue(bytes: &[u8]) -> Result<Catalogue, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header =
        reader.headers().map_err(|error| format!("the catalogue cannot be read: {error}"))?;
    let columns = Columns::find(header)?;
    let mut catalogue = Catalogue::default();
    let mut row = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let creator = match reader.read_record(&mut row) {
            Ok(false) => return Ok(catalogue),
            Ok(true) => read_row(&columns, &row),
            Err(_) => Err("not valid UTF-8"),
        };
        match creator {
            Ok(creator) => catalogue.creators.push(creator),
            Err(reason) if catalogue.skipped.len() < MAX_NAMED_ROWS => {
                let line = row.position().map_or(line, csv::Position::line);
                catalogue.skipped.push(SkippedRow { line, reason });
            }
            Err(_) => {}
        }
    }
}

fn read_row(columns: &Columns, row: &csv::StringRecord) -> Result<Creator, &'static str> {
    let mut names = split_names(row.get(columns.name).unwrap_or_default());
    if names.is_empty() {
        return Err("no name");
    }
    let url = row.get(columns.url).unwrap_or_default().trim();
    if !web_address(url) {
        return Err("the address does not begin with https:// or http://");
    }
    let name = names.remove(0);
    let listed = columns.aliases.and_then(|column| row.get(column)).unwrap_or_default();
    for alias in listed.split(['|', ';']) {
        let alias = clean(alias, MAX_NAME_CHARS);
        if !alias.is_empty() && alias != name && !names.contains(&alias) {
            names.push(alias);
        }
    }
    let item_count = columns.item_count.and_then(|column| row.get(column)?.trim().parse().ok());
    Ok(Creator { name, url: url.to_owned(), aliases: names, item_count })
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
    use super::*;

    fn names(creator: &Creator) -> Vec<&str> {
        std::iter::once(&creator.name).chain(&creator.aliases).map(String::as_str).collect()
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let csv = "\u{feff}URL,Items,Name\r\nhttps://c.example/a,12,\"Ann, Lee\"\r\n";
        let catalogue = read_catalogue(csv.as_bytes()).unwrap();
        let creator = &catalogue.creators[0];
        assert_eq!(creator.name, "Ann, Lee");
        assert_eq!(creator.item_count, Some(12));
    }

    #[test]
    fn one_cell_may_hold_several_names() {
        let csv = "name,url,aliases\nA / B | C (D),https://c.example/a,E|B; \n";
        let catalogue = read_catalogue(csv.as_bytes()).unwrap();
        assert_eq!(names(&catalogue.creators[0]), ["A", "B", "C", "D", "E"]);
    }

    #[test]
    fn bad_rows_are_skipped_and_named_by_line() {
        let csv = b"name,url\nA,https://c.example/a\n,https://c.example/b\nC,javascript:x\n\xff\xfe,https://c.example/d\nE,https://c.example/e\n";
        let catalogue = read_catalogue(csv).unwrap();
        assert_eq!(catalogue.creators.len(), 2);
        let skipped: Vec<String> = catalogue.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(skipped[0], "line 3: no name");
        assert!(skipped[1].starts_with("line 4: the address"), "{skipped:?}");
        assert!(skipped[2].ends_with("not valid UTF-8"), "{skipped:?}");
    }

    #[test]
    fn a_file_without_the_columns_says_which_are_missing() {
        let error = read_catalogue(b"a,b\n1,2\n").unwrap_err();
        assert!(error.contains("`model_name` or `name`"), "{error}");
    }
}
