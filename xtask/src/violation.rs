//! What `cargo xtask tidy` finds.

use std::fmt;

/// One broken rule, for the person who repairs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The file to look at, from the root.
    pub(crate) file: String,
    pub(crate) what: String,
    pub(crate) to_do: String,
}

impl Violation {
    pub(crate) fn new(
        file: impl Into<String>,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), what: what.into(), to_do: to_do.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.what, self.to_do)
    }
}
