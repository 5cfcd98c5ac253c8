//! Documents name files that exist.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::files::{files_below, read};
use crate::violation::Violation;

/// Where documents lie, and the code they speak of.
const PLACES: &[&str] = &["docs", "coordinator", "host", "ops", "plugins", "queue", "wit", "xtask"];
const ENDINGS: &[&str] = &["rs", "lua", "ftl", "acl", "wit", "chat"];

/// Every file of ours that a document names in backticks is there. A name stands for all files whose path ends with it. A file that
/// the reader of a tutorial makes is not ours.
pub(super) fn named_files(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let mut known = Vec::new();
    let mut documents = at_the_top(root)?;
    for place in PLACES {
        for ending in ENDINGS {
            known.extend(files_below(&root.join(place), ending)?);
        }
        documents.extend(files_below(&root.join(place), "md")?);
    }
    let mut violations = Vec::new();
    for document in documents {
        let text = read(&document)?;
        for name in names(&text) {
            let is_made = text.contains(&format!("<!-- file: {name} -->"));
            if !is_made && !known.iter().any(|file| file.ends_with(name)) {
                violations.push(Violation::new(
                    document.strip_prefix(root).unwrap_or(&document).to_string_lossy(),
                    format!("names `{name}`, which does not exist"),
                    "name the file where that is now",
                ));
            }
        }
    }
    Ok(violations)
}

fn at_the_top(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(root).context("reading the workspace's folder")? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "md") {
            documents.push(path);
        }
    }
    Ok(documents)
}

/// What stands between single backticks and looks like one of our files.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    let quoted = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter(|name| {
        let path = Path::new(name);
        let ending = path.extension().is_some_and(|ending| ENDINGS.iter().any(|it| ending == *it));
        let plain = name.chars().all(|sign| sign.is_ascii_alphanumeric() || "._-/".contains(sign));
        ending && plain && path.file_stem().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_file_names_are_looked_for() {
        let text = "`a/b.rs`, `*.chat`, `cargo test x.rs`, b.rs, `c.lua` and `.rs`\n```rust\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["a/b.rs", "c.lua"]);
    }

    #[test]
    fn a_file_that_moved_is_found() {
        let root = tempfile::tempdir().unwrap();
        for place in PLACES {
            fs::create_dir(root.path().join(place)).unwrap();
        }
        fs::create_dir(root.path().join("queue/src")).unwrap();
        fs::write(root.path().join("queue/src/here.rs"), "").unwrap();
        let text =
            "`queue/src/here.rs` and `src/gone.rs`\n`src/new.rs`:\n<!-- file: src/new.rs -->\n";
        fs::write(root.path().join("README.md"), text).unwrap();
        let found = named_files(root.path()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file, "README.md");
        assert!(found[0].what.contains("src/gone.rs"));
    }
}
