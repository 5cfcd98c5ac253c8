//! Files that a flag names.

use std::path::Path;

use anyhow::Context;

/// The bytes of the file, when one is named.
///
/// # Errors
///
/// When it cannot be read, naming it.
pub fn read_optional(path: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    path.map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display())))
        .transpose()
}
