//! Divides lines into pages that fit into one message each.

use super::links::MAX_TEXT_BYTES;
use super::markup::{Line, Run};

/// Telegram allows 4,096 UTF-16 units; the rest is for the page number and an error that may stand above the text.
const PAGE_UNITS: usize = 3_600;
/// Telegram keeps 100 entities of a message and shows the rest as plain text.
const PAGE_ENTITIES: usize = 90;

/// Fills one page after the other.
#[derive(Debug, Default)]
pub(super) struct Pages {
    done: Vec<String>,
    html: String,
    weight: Weight,
}

/// How much of Telegram's limits a piece of a message uses.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    units: usize,
    entities: usize,
    /// Bytes of URLs, which have a limit of their own.
    link_bytes: usize,
}

impl Weight {
    fn of(run: &Run) -> Self {
        let link_bytes = run.style.link.as_ref().map_or(0, String::len);
        Self { units: run.units(), entities: run.entities(), link_bytes }
    }

    fn and(self, other: Self) -> Self {
        Self {
            units: self.units + other.units,
            entities: self.entities + other.entities,
            link_bytes: self.link_bytes + other.link_bytes,
        }
    }

    fn fits(self) -> bool {
        self.units <= PAGE_UNITS
            && self.entities <= PAGE_ENTITIES
            && self.link_bytes <= MAX_TEXT_BYTES
    }
}

impl Pages {
    /// Adds lines that belong together: on one page if they fit on one at all.
    pub(super) fn add(&mut self, block: Vec<Line>) {
        let breaks = Weight { units: block.len(), ..Weight::default() };
        let whole = block.iter().flatten().map(Weight::of).fold(breaks, Weight::and);
        if !self.weight.and(whole).fits() {
            self.finish_page();
        }
        for line in block {
            if line.is_empty() {
                self.gap();
                continue;
            }
            if !self.html.is_empty() {
                self.push("\n");
            }
            for run in line {
                self.add_run(run);
            }
        }
    }

    /// Adds a piece of a line, on as many pages as it takes.
    fn add_run(&mut self, mut run: Run) {
        loop {
            let mark = Weight { units: 0, ..Weight::of(&run) };
            if !self.weight.and(mark).fits() {
                self.finish_page();
            }
            let rest = split_off(&mut run.text, PAGE_UNITS.saturating_sub(self.weight.units));
            self.html.push_str(&run.html());
            self.weight = self.weight.and(Weight::of(&run));
            let Some(rest) = rest else { return };
            run.text = rest;
            self.finish_page();
        }
    }

    /// An empty line, except at the beginning of a page.
    pub(super) fn gap(&mut self) {
        if !self.html.is_empty() && !self.html.ends_with('\n') {
            self.push("\n");
        }
    }

    fn push(&mut self, text: &str) {
        self.html.push_str(text);
        self.weight.units += text.encode_utf16().count();
    }

    fn finish_page(&mut self) {
        self.weight = Weight::default();
        let html = std::mem::take(&mut self.html);
        let html = html.trim_end();
        if !html.is_empty() {
            self.done.push(html.to_owned());
        }
    }

    /// The pages.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.finish_page();
        self.done
    }
}

/// Cuts a text after `units`, at the end of a word if possible. Returns the rest; none when it fits.
fn split_off(text: &mut String, units: usize) -> Option<String> {
    let mut left = units;
    let mut cut = 0;
    let mut after_word = None;
    for (at, letter) in text.char_indices() {
        let Some(rest) = left.checked_sub(letter.len_utf16()) else {
            return Some(text.split_off(after_word.unwrap_or(cut)));
        };
        left = rest;
        cut = at + letter.len_utf8();
        if letter == ' ' {
            after_word = Some(cut);
        }
    }
    None
}
