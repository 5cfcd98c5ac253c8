//! The files that a plugin is built from, and whether they have changed.

use std::collections::{BTreeMap, BTreeSet};
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

type Files = BTreeMap<PathBuf, FileState>;

/// The state of all source files of a folder.
pub(super) struct Source {
    folder: PathBuf,
    /// As they were built.
    files: Files,
    /// As they were when the last build ended.
    after_build: Files,
    /// Files that changed during a build: the build wrote them, or their author did.
    written: BTreeSet<PathBuf>,
    /// Files that changed while nothing was built.
    saved: BTreeSet<PathBuf>,
}

impl Source {
    pub(super) fn of(folder: &Path) -> Self {
        let files = files_of(folder);
        let after_build = files.clone();
        let (written, saved) = Default::default();
        Self { folder: folder.to_owned(), files, after_build, written, saved }
    }

    /// Whether a file is new, gone or another than it was built. A folder that cannot be read has no files.
    pub(super) fn changed(&mut self) -> bool {
        let now = files_of(&self.folder);
        self.saved.extend(differing(&self.after_build, &now));
        let changed = now != self.files;
        self.files.clone_from(&now);
        self.after_build = now;
        changed
    }

    /// A build has ended. A file that was saved while it ran is one that [`Source::changed`] finds. A file that each build writes is
    /// not: it is known from its second time on, if nobody has ever saved it.
    pub(super) fn built(&mut self) {
        self.after_build = files_of(&self.folder);
        for path in differing(&self.files, &self.after_build) {
            if self.saved.contains(&path) || self.written.insert(path.clone()) {
                continue;
            }
            match self.after_build.get(&path) {
                Some(state) => drop(self.files.insert(path, state.clone())),
                None => drop(self.files.remove(&path)),
            }
        }
    }
}

/// Files that are not the same in both.
fn differing(before: &Files, now: &Files) -> BTreeSet<PathBuf> {
    let paths = before.keys().chain(now.keys());
    paths.filter(|path| before.get(*path) != now.get(*path)).cloned().collect()
}

fn files_of(folder: &Path) -> Files {
    let mut files = Files::new();
    collect(folder, &mut files);
    files
}

fn collect(folder: &Path, files: &mut Files) {
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

    #[test]
    fn what_is_saved_during_a_build_is_built_next_and_what_each_build_writes_is_not() {
        let place = tempfile::tempdir().unwrap();
        let save = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
        save("plugin.py", "1");
        let mut source = Source::of(place.path());
        let mut length = 1;
        let mut builds_after = |source: &mut Source, saved: &[&str]| {
            // A build that writes a list of what it made; the author saves meanwhile.
            length += 1;
            for name in saved.iter().chain(&["made.txt"]) {
                save(name, &"x".repeat(length));
            }
            source.built();
            source.changed()
        };
        assert!(builds_after(&mut source, &[]), "nobody can know yet who wrote `made.txt`");
        assert!(!builds_after(&mut source, &[]), "the build writes it each time");
        assert!(builds_after(&mut source, &["plugin.py"]), "saved during a build");
        assert!(!builds_after(&mut source, &[]));
        save("plugin.py", "saved while nothing is built");
        assert!(source.changed());
        assert!(builds_after(&mut source, &["plugin.py"]), "saved during a build once more");
        assert!(!builds_after(&mut source, &[]));
    }
}
