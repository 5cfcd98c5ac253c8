//! The columns that a plugin knows by name.

/// A column that a plugin reads.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its possible names. Case, spaces, `_` and `-` are ignored.
    pub names: &'static [&'static str],
    /// What it holds.
    pub holds: Holds,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A text that every row has.
    Text,
    /// A web address that every row has.
    Address,
    /// A value that a table may leave out.
    Extra,
}
