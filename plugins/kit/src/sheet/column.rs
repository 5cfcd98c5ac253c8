//! The columns that a plugin knows by name.

/// A column that a plugin looks for.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What it may be called. Case, spaces, `_` and `-` make no difference.
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
    /// Something that a table may do without.
    Extra,
}
