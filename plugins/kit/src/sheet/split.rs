//! From text to records (RFC 4180): cells, quotes, and the lines that they stand on.
//!
//! A quote is special only at the start of a cell. Lines end with CRLF, LF or CR. Splitting refuses nothing: unusual quotes
//! are noted in the record, and `check_quotes` reports those that lose data.

/// Longest row, in bytes; far longer than rows that people write.
pub(super) const MAX_ROW_BYTES: usize = 64 << 10;
const QUOTE: u8 = b'"';

/// One record and its unusual quotes.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The text of all cells, up to [`MAX_ROW_BYTES`].
    text: Vec<u8>,
    /// Where each cell ends in the text.
    ends: Vec<usize>,
    /// The line that it begins on, from 1.
    pub(super) line: u64,
    /// How many lines it stands on.
    pub(super) lines: usize,
    /// How many bytes of the file it takes.
    pub(super) bytes: usize,
    /// The line of a quote that is still open at the end of the file.
    pub(super) open_quote: Option<u64>,
    /// The lines of the quotes of a multi-line quoted text that is followed by more text.
    pub(super) stray: Option<(u64, u64)>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn cell(&self, place: usize) -> Option<&[u8]> {
        let end = *self.ends.get(place)?;
        let start =
            place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..end)
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|place| self.cell(place))
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether the quotes end where they should. `what` is the table, for the sentence.
    pub(super) fn check_quotes(&self, what: &str) -> Result<(), String> {
        let advice = "close it, or write it twice where it belongs to the text";
        if let Some(line) = self.open_quote {
            return Err(format!(
                "line {line} of the {what} opens a quote that is never closed: {advice}"
            ));
        }
        match self.stray {
            None => Ok(()),
            Some((from, to)) => Err(format!(
                "line {from} of the {what} opens a quote that ends on line {to} in the middle of a text, so it was hardly \
                 meant to go so far: {advice}"
            )),
        }
    }

    fn clear(&mut self) {
        let text = std::mem::take(&mut self.text);
        let ends = std::mem::take(&mut self.ends);
        *self = Self { text, ends, ..Self::default() };
        self.text.clear();
        self.ends.clear();
    }

    /// Bounded, so that a file with an open quote is not copied whole.
    fn push(&mut self, bytes: &[u8]) {
        let room = (MAX_ROW_BYTES + 1).saturating_sub(self.text.len());
        self.text.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
    }
}

/// Splits a text into records.
pub(super) struct Splitter<'a> {
    text: &'a [u8],
    rest: &'a [u8],
    line: u64,
    separator: u8,
}

impl<'a> Splitter<'a> {
    /// Continues at a position from [`Splitter::position`].
    pub(super) fn at(text: &'a [u8], (byte, line): (usize, u64), separator: u8) -> Self {
        Self { text, rest: text.get(byte..).unwrap_or_default(), line, separator }
    }

    /// The next byte and line.
    pub(super) fn position(&self) -> (usize, u64) {
        (self.text.len() - self.rest.len(), self.line)
    }

    /// The next line that is not empty, unparsed.
    pub(super) fn raw_line(&mut self) -> Option<&'a [u8]> {
        while self.end_line() {}
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let line = self.rest.get(..length).filter(|line| !line.is_empty())?;
        self.skip(length);
        self.end_line();
        Some(line)
    }

    /// Reads the next record, skipping empty lines; false at the end.
    pub(super) fn read(&mut self, record: &mut Record) -> bool {
        record.clear();
        while self.end_line() {}
        let Some(&first) = self.rest.first() else { return false };
        let (start, line) = self.position();
        record.line = line;
        let mut next = first;
        loop {
            if next == QUOTE {
                self.quoted(record);
            } else {
                self.plain(record);
            }
            record.end_cell();
            if self.rest.first() != Some(&self.separator) {
                break;
            }
            self.skip(1);
            // A separator at the end of the file is followed by an empty cell.
            next = self.rest.first().copied().unwrap_or_default();
        }
        self.count_lines(record, start, line);
        self.end_line();
        true
    }

    fn count_lines(&self, record: &mut Record, start: usize, line: u64) {
        record.bytes = self.position().0 - start;
        record.lines = usize::try_from(self.line - line).unwrap_or(usize::MAX).saturating_add(1);
    }

    /// Up to the next separator or the end of the line.
    fn plain(&mut self, record: &mut Record) {
        let separator = self.separator;
        let ends = |byte: &u8| *byte == separator || matches!(byte, b'\n' | b'\r');
        let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        record.push(self.rest.get(..length).unwrap_or_default());
        self.skip(length);
    }

    /// From a quote to the one that closes it, and what stands behind that.
    fn quoted(&mut self, record: &mut Record) {
        let from = self.line;
        self.skip(1);
        loop {
            let Some(length) = self.rest.iter().position(|byte| *byte == QUOTE) else {
                record.push(self.rest);
                record.open_quote.get_or_insert(from);
                self.line += line_ends(self.rest);
                self.skip(self.rest.len());
                return;
            };
            let part = self.rest.get(..length).unwrap_or_default();
            record.push(part);
            self.line += line_ends(part);
            self.skip(length + 1);
            match self.rest.first() {
                Some(&QUOTE) => {
                    record.push(b"\"");
                    self.skip(1);
                }
                None | Some(b'\n' | b'\r') => return,
                Some(byte) if *byte == self.separator => return,
                Some(_) => break,
            }
        }
        // Within one line this is harmless. Over several lines a quote is probably missing.
        if from < self.line {
            record.stray.get_or_insert((from, self.line));
        }
        self.plain(record);
    }

    /// Skips a line end, if one is next.
    fn end_line(&mut self) -> bool {
        let length = match self.rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return false,
        };
        self.skip(length);
        self.line += 1;
        true
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

/// How many line ends a text has.
fn line_ends(text: &[u8]) -> u64 {
    lines(text).count().saturating_sub(1) as u64
}

/// The lines of a text, whatever they end with.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            rest = None;
            return Some(text);
        };
        let (line, behind) = text.split_at_checked(end)?;
        rest = Some(behind.strip_prefix(b"\r\n").or(behind.get(1..)).unwrap_or_default());
        Some(line)
    })
}
