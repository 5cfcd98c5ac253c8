//! A plugin's name: its file name without the extension.

use std::path::Path;

/// Whether `name` may be a plugin's name. It becomes part of file names and Redis keys.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A file's name without its extension, for display.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
