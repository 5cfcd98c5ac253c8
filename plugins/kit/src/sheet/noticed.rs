//! Rows with the same trouble: counted, and the first ones named.

use std::borrow::Cow;
use std::fmt;

/// Rows of one kind that are named one by one.
pub const MAX_NAMED_ROWS: usize = 20;

/// Rows with the same trouble.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// The first ones.
    pub named: Vec<NamedRow>,
    /// All of them.
    pub count: usize,
}

/// A row and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRow {
    /// The line in the file that it begins on, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

impl Rows {
    /// Counts one more.
    pub fn add(&mut self, line: u64, reason: impl Into<Cow<'static, str>>) {
        self.count += 1;
        if self.named.len() < MAX_NAMED_ROWS {
            self.named.push(NamedRow { line, reason: reason.into() });
        }
    }

    /// `3 rows skipped`, and how many of them are named above; nothing where there are none.
    pub fn told(&self, done: &str) -> Option<String> {
        let all = self.count;
        let named = self.named.len();
        let rows = if all == 1 { "row" } else { "rows" };
        match all {
            0 => None,
            _ if named < all => {
                Some(format!("{all} {rows} {done}, of which the first {named} are named above"))
            }
            _ => Some(format!("{all} {rows} {done}")),
        }
    }
}

impl fmt::Display for NamedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}
