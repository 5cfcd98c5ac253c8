//! Tables as people save them from a spreadsheet: bytes to rows, with the columns that a plugin knows by name. Pure.
//!
//! A row that cannot be used costs that row. A file is refused, with a line, only where it is wrong as a whole: no such
//! columns, another kind of file, or a quote that would take the rows behind it with it. What a row means is the
//! plugin's business.

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
    /// What the operator calls it, for sentences: `the {what}`.
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
    /// Opens a table. `example` is a line that names the columns, for whoever has to write it.
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

    /// What the operator should know about the lines above the rows.
    pub fn remarks(&self) -> &[String] {
        &self.header.remarks
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    ///
    /// A sentence for the operator, when a quote takes the rows behind it with it: nothing after it can be trusted.
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
    /// The text in one of the known columns; nothing where the table has no such column or the row ends before it.
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

    /// Whether it is only a remark: one cell that begins with `#`.
    pub fn is_comment(&self) -> bool {
        header::is_comment(self.record)
    }

    /// Whether none of its cells holds anything.
    pub fn is_blank(&self) -> bool {
        self.record.is_blank()
    }

    /// Why an address may be missing, where the row has too few cells to hold one.
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
