//! The files that a plugin is built from, and whether they have changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::swap::files::{FileState, state};

/// Folders that tools fill. Hidden ones are left out too.
const MADE_BY_TOOLS: &[&str] = &["target", "node_modules", "__pycache__"];
/// Endings of files that a build makes, or that a worker reads itself.
const NOT_SOURCE: &[&str] = &["wasm", "pyc"];
/// Files that a first build writes. Without this it would be followed by a second one.
const LOCK_FILES: &[&str] = &["Cargo.lock", "package-lock.json"];
/// Files that are looked at. A plugin has some dozens.
const MAX_FILES: usize = 10_000;

/// The state of all source files of a folder.
pub(super) struct Source {
    folder: PathBuf,
    files: BTreeMap<PathBuf, FileState>,
}

impl Source {
    pub(super) fn of(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(folder, &mut files);
        Self { folder: folder.to_owned(), files }
    }

    /// Whether a file is new, gone or another since the last call. A folder that cannot be read has no files.
    pub(super) fn changed(&mut self) -> bool {
        let now = Self::of(&self.folder);
        let changed = now.files != self.files;
        self.files = now.files;
        changed
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, FileState>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') || files.len() >= MAX_FILES {
            continue;
        }
        if kind.is_dir() && !MADE_BY_TOOLS.contains(&&*name) {
            collect(&path, files);
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if kind.is_file()
            && !NOT_SOURCE.contains(&ending)
            && !LOCK_FILES.contains(&&*name)
            && let Some(state) = state(&path)
        {
            files.insert(path, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_source_file_is_noticed_once_and_what_tools_write_is_not() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("src")).unwrap();
        fs::create_dir_all(at("target/debug")).unwrap();
        fs::create_dir_all(at(".build")).unwrap();
        fs::write(at("src/lib.rs"), "1").unwrap();
        let mut source = Source::of(place.path());
        for made in ["target/debug/a", ".build/a", "tide.wasm", ".hidden", "Cargo.lock"] {
            fs::write(at(made), "").unwrap();
        }
        assert!(!source.changed());
        fs::write(at("src/lib.rs"), "12").unwrap();
        assert!(source.changed());
        assert!(!source.changed());
        fs::write(at("src/new.rs"), "").unwrap();
        assert!(source.changed());
        fs::remove_file(at("src/new.rs")).unwrap();
        assert!(source.changed());
    }
}
