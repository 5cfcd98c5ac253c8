//! Reads tables that people saved from a spreadsheet: from bytes to rows, with columns found by name. Pure.
//!
//! A row that cannot be used is left out. The whole file is refused only when it lacks the columns, is of another kind,
//! or has a quote that would swallow the rows after it; the error names the line. The plugin decides what a row means.

mod column;
mod decode;
mod header;
mod noticed;
mod split;

use std::borrow::Cow;

pub use column::{Column, Holds};
use decode::decode;
use header::Header;
pub use noticed::{MAX_NAMED_ROWS, NamedRow, Rows};
use split::{MAX_ROW_BYTES, Record, Splitter};

/// Most lines of one row, by line breaks inside quotes.
const MAX_ROW_LINES: usize = 500;

/// An open table. `N` columns are known by their place in the list that it was opened with.
#[derive(Debug)]
pub struct Sheet<'a, const N: usize> {
    /// Its name in messages: `the {what}`.
    what: &'static str,
    text: Cow<'a, [u8]>,
    header: Header<N>,
    /// How far the text was read, in bytes and lines.
    at: (usize, u64),
    record: Record,
}

/// One row.
#[derive(Debug)]
pub struct Row<'s, const N: usize> {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Whether it has fewer cells than the header, or more that hold something.
    pub ragged: bool,
    record: &'s Record,
    header: &'s Header<N>,
}

impl<'a, const N: usize> Sheet<'a, N> {
    /// Opens a table. `example` is a header line for the error message.
    ///
    /// # Errors
    ///
    /// A sentence for the operator: what is wrong with the file, on which line, and what to do.
    pub fn open(
        what: &'static str,
        bytes: &'a [u8],
        columns: &[Column; N],
        example: &str,
    ) -> Result<Self, String> {
        let text = decode(what, bytes)?;
        let (header, at) = header::find(what, &text, columns, example)?;
        Ok(Self { what, text, header, at, record: Record::default() })
    }

    /// Remarks for the operator about the lines above the rows.
    pub fn remarks(&self) -> &[String] {
        &self.header.remarks
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    ///
    /// A sentence for the operator, when a quote swallows the rows after it. No later row can be trusted then.
    pub fn next_row(&mut self) -> Result<Option<Row<'_, N>>, String> {
        let mut splitter = Splitter::at(&self.text, self.at, self.header.separator);
        let found = splitter.read(&mut self.record);
        self.at = splitter.position();
        if !found {
            return Ok(None);
        }
        let record = &self.record;
        record.check_quotes(self.what)?;
        if let Some(line) = self.header.swallowed(record) {
            return Err(format!(
                "line {} of the {} opens a quote that takes line {line} with it, which looks like a row of its own: \
                 close the quote, or write it twice where it belongs to the text",
                record.line, self.what
            ));
        }
        if record.lines > 1 && (record.bytes > MAX_ROW_BYTES || record.lines > MAX_ROW_LINES) {
            return Err(format!(
                "line {} of the {} goes on for {} lines and {} bytes: is a quote not closed? At most {MAX_ROW_LINES} \
                 lines and {MAX_ROW_BYTES} bytes are taken",
                record.line, self.what, record.lines, record.bytes
            ));
        }
        let ragged = self.header.is_ragged(record);
        Ok(Some(Row { line: record.line, ragged, record, header: &self.header }))
    }
}

impl<const N: usize> Row<'_, N> {
    /// The text in a column; empty when the table has no such column or the row ends before it.
    ///
    /// # Errors
    ///
    /// Why the row cannot be used.
    pub fn cell(&self, column: usize) -> Result<&str, Cow<'static, str>> {
        if self.record.bytes > MAX_ROW_BYTES {
            return Err("more than 64 KiB in one row".into());
        }
        let Some(place) = self.header.places.get(column).copied().flatten() else { return Ok("") };
        let bytes = self.record.cell(place).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|error| {
            let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            format!(
                "not valid UTF-8, byte 0x{byte:02X} in cell {}; save the file as UTF-8",
                place + 1
            )
            .into()
        })
    }

    /// Whether it is a comment: a single cell that begins with `#`.
    pub fn is_comment(&self) -> bool {
        header::is_comment(self.record)
    }

    /// Whether all its cells are blank.
    pub fn is_blank(&self) -> bool {
        self.record.is_blank()
    }

    /// Whether the row ends before this column.
    pub fn too_short_for(&self, column: usize) -> bool {
        let place = self.header.places.get(column).copied().flatten();
        place.is_some_and(|place| self.record.cell(place).is_none())
    }

    /// What the table's cells are separated by, in words.
    pub fn separator(&self) -> &'static str {
        header::in_words(self.header.separator)
    }
}

#[cfg(test)]
mod tests;
