//! The signature beside a component, for the commands that need its text.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;

use crate::trust::signature_path;

/// The text of the signature beside `component`; none when there is no such file.
pub(crate) fn read_signature(component: &Path) -> anyhow::Result<Option<String>> {
    let path = signature_path(component);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
