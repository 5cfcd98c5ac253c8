//! The lines above the rows: empty lines, comments, `sep=;` and the header, which names the columns.

use std::cmp::Reverse;

use freefans_plugin::text::clean;

use super::column::{Column, Holds};
use super::split::{Record, Splitter, lines};

/// Separators that are tried when the file does not declare one. Spreadsheets choose one by language.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Only this many characters of a column name are compared.
const MAX_NAME_CHARS: usize = 40;
/// How many found names an error lists.
const MAX_SHOWN_NAMES: usize = 8;
/// A quoted text may contain this many lines that look like short rows, for instance a list in somebody's notes. More
/// means that a quote is missing.
const MAX_SHORT_ROWS: usize = 10;

/// Where the known columns are.
#[derive(Debug)]
pub(super) struct Header<const N: usize> {
    pub(super) separator: u8,
    pub(super) places: [Option<usize>; N],
    pub(super) remarks: Vec<String>,
    /// Where the addresses are that every row has.
    addresses: Vec<usize>,
    /// How many columns the table has.
    width: usize,
}

/// Finds the header, and the position behind it.
pub(super) fn find<const N: usize>(
    what: &str,
    text: &[u8],
    columns: &[Column; N],
    example: &str,
) -> Result<(Header<N>, (usize, u64)), String> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(format!(
            "the {what} is empty; its first line names the columns, for instance `{example}`"
        ));
    }
    let mut at = (0, 1);
    let mut said = None;
    loop {
        let mut splitter = Splitter::at(text, at, b',');
        let Some(line) = splitter.raw_line() else {
            return Err(format!(
                "the {what} has no line that names the columns, for instance `{example}`"
            ));
        };
        if let Some(separator) = declared(line) {
            said = Some(separator);
            at = splitter.position();
            continue;
        }
        let behind_line = splitter.position();
        let (mut header, record, behind) = read(text, at, line, columns, said);
        if header.is_complete(columns) {
            record.check_quotes(what)?;
            header.remark(what, &record, columns, said);
            return Ok((header, behind));
        }
        if line.trim_ascii_start().starts_with(b"#") {
            at = behind_line;
            continue;
        }
        record.check_quotes(what)?;
        if !record.is_blank() {
            return Err(header.missing(what, &record, columns, example));
        }
        at = behind;
    }
}

/// The separator in Excel's `sep=;`, which other programs put into quotes or fill up to the table's width.
fn declared(line: &[u8]) -> Option<u8> {
    let line = without_quote(line.trim_ascii_start());
    let (key, value) = line.split_at_checked(4)?;
    if !key.eq_ignore_ascii_case(b"sep=") {
        return None;
    }
    let (separator, rest) = match value {
        [b'\\', b't', rest @ ..] => (b'\t', rest),
        [first, rest @ ..] => (*first, rest),
        [] => return None,
    };
    let fits = separator == b'\t' || separator.is_ascii_punctuation() && separator != b'"';
    let fills = |byte: &u8| *byte == separator || *byte == b'"' || byte.is_ascii_whitespace();
    (fits && rest.iter().all(|byte| fills(byte) || SEPARATORS.contains(byte))).then_some(separator)
}

fn without_quote(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").unwrap_or(text)
}

/// The header that begins at a position, by the separator that makes one of it; and the position behind it.
fn read<const N: usize>(
    text: &[u8],
    at: (usize, u64),
    line: &[u8],
    columns: &[Column; N],
    said: Option<u8>,
) -> (Header<N>, Record, (usize, u64)) {
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    let mut tried = SEPARATORS;
    tried.sort_by_key(|separator| Reverse(count(*separator)));
    let read_by = |separator| {
        let mut splitter = Splitter::at(text, at, separator);
        let mut record = Record::default();
        splitter.read(&mut record);
        (Header::of(separator, &record, columns), record, splitter.position())
    };
    let likely = said.unwrap_or(tried[0]);
    let found = said.into_iter().chain(tried).map(read_by);
    let mut complete = found.filter(|(header, ..)| header.is_complete(columns));
    complete.next().unwrap_or_else(|| read_by(likely))
}

/// A column's name without what makes no difference.
fn plain(name: &str) -> String {
    let name = clean(name, MAX_NAME_CHARS).to_lowercase();
    name.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

fn is_called(cell: &[u8], column: &Column) -> bool {
    let cell = plain(&String::from_utf8_lossy(cell));
    column.names.iter().any(|name| plain(name) == cell)
}

impl<const N: usize> Header<N> {
    fn of(separator: u8, record: &Record, columns: &[Column; N]) -> Self {
        let places = columns
            .each_ref()
            .map(|column| record.cells().position(|cell| is_called(cell, column)));
        let addresses = places
            .iter()
            .zip(columns)
            .filter(|(_, column)| column.holds == Holds::Address)
            .filter_map(|(place, _)| *place)
            .collect();
        let width = record.cells().collect::<Vec<_>>();
        let empty = width.iter().rev().take_while(|cell| cell.trim_ascii().is_empty()).count();
        let width = width.len() - empty;
        Self { separator, places, remarks: Vec::new(), addresses, width }
    }

    fn is_complete(&self, columns: &[Column; N]) -> bool {
        let is_there = |(place, column): (&Option<usize>, &Column)| {
            place.is_some() || column.holds == Holds::Extra
        };
        self.places.iter().zip(columns).all(is_there)
    }

    /// What is odd about a header that can be used.
    fn remark(&mut self, what: &str, record: &Record, columns: &[Column; N], said: Option<u8>) {
        for column in columns {
            let places: Vec<String> = record
                .cells()
                .enumerate()
                .filter(|(_, cell)| is_called(cell, column))
                .map(|(place, _)| (place + 1).to_string())
                .collect();
            if let [used, _, ..] = places.as_slice() {
                self.remarks.push(format!(
                    "line {} of the {what} names {} more than once, in cells {}: cell {used} is used; remove or rename \
                     the others",
                    record.line,
                    names(column),
                    places.join(", ")
                ));
            }
        }
        if let Some(said) = said.filter(|said| *said != self.separator) {
            self.remarks.push(format!(
                "the {what} says that its cells are separated by {}, but they are by {}",
                in_words(said),
                in_words(self.separator)
            ));
        }
    }

    /// Which column is not there, and what is in its place.
    fn missing(&self, what: &str, record: &Record, columns: &[Column; N], example: &str) -> String {
        let missing = self.places.iter().zip(columns);
        let mut missing = missing
            .filter(|(place, column)| place.is_none() && column.holds != Holds::Extra)
            .map(|(_, column)| names(column));
        let found: Vec<String> = record
            .cells()
            .take(MAX_SHOWN_NAMES)
            .map(|cell| format!("`{}`", clean(&String::from_utf8_lossy(cell), MAX_NAME_CHARS)))
            .collect();
        format!(
            "line {} of the {what} has no column {}; it names the columns, for instance `{example}`; found: {}",
            record.line,
            missing.next().unwrap_or_default(),
            found.join(", ")
        )
    }

    /// Whether a row has fewer cells than the header, or more that hold something.
    pub(super) fn is_ragged(&self, record: &Record) -> bool {
        let beyond = record.cells().skip(self.width).any(|cell| !cell.trim_ascii().is_empty());
        record.len() < self.width || beyond
    }

    /// The line of a row that stands inside a quoted text of this one.
    pub(super) fn swallowed(&self, record: &Record) -> Option<u64> {
        if record.lines < 2 {
            return None;
        }
        let mut line = record.line;
        let mut short = 0;
        for (place, cell) in record.cells().enumerate() {
            for (number, part) in lines(cell).enumerate() {
                line += u64::from(number > 0);
                // The first line goes on with the row that the quote stands in.
                let offset = if number == 0 { place } else { 0 };
                match self.looks_like_a_row(offset, part) {
                    Looks::Whole => return Some(line.max(record.line + 1)),
                    Looks::Short => short += 1,
                    Looks::Other => {}
                }
                if short > MAX_SHORT_ROWS {
                    return Some(line);
                }
            }
        }
        None
    }

    fn looks_like_a_row(&self, offset: usize, line: &[u8]) -> Looks {
        let cells: Vec<&[u8]> = line.split(|byte| *byte == self.separator).collect();
        if cells.len() < 2 {
            return Looks::Other;
        }
        // A quoted address may itself be broken over lines: that is no row.
        let counts = |place: &&usize| offset < **place || offset == 0;
        let mut places = self.addresses.iter().filter(counts).peekable();
        let is_address =
            |place: &usize| cells.get(place - offset).is_some_and(|cell| begins_an_address(cell));
        if places.peek().is_none() || !places.all(is_address) {
            return Looks::Other;
        }
        if offset + cells.len() < self.width { Looks::Short } else { Looks::Whole }
    }
}

/// What a line inside a quoted text is like.
enum Looks {
    /// A row with all its cells.
    Whole,
    /// A row that ends early, or a list that somebody wrote.
    Short,
    Other,
}

fn begins_an_address(cell: &[u8]) -> bool {
    let cell = without_quote(cell.trim_ascii());
    let begins = |scheme: &[u8]| {
        cell.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins(b"https://") || begins(b"http://")
}

pub(super) fn is_comment(record: &Record) -> bool {
    let mut cells = record.cells().map(<[u8]>::trim_ascii_start);
    cells.next().is_some_and(|cell| cell.starts_with(b"#")) && cells.all(<[u8]>::is_empty)
}

fn names(column: &Column) -> String {
    let names: Vec<String> = column.names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" or ")
}

pub(super) fn in_words(separator: u8) -> &'static str {
    match separator {
        b'\t' => "a tab",
        b',' => "`,`",
        b';' => "`;`",
        b'|' => "`|`",
        _ => "another letter",
    }
}
