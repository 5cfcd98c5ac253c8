//! Puts what was measured into a document, between two lines that name the command.

use std::path::Path;

use anyhow::{Context, ensure};

/// Ends each place.
const END: &str = "<!-- end -->\n";

/// Replaces what stands behind `<!-- measured: cargo xtask bench NAME -->`.
pub(super) fn replace(document: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let begin = format!("<!-- measured: cargo xtask bench {name} -->\n");
    let old = std::fs::read_to_string(document).context("reading the document")?;
    let marked = old.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some(format!("{before}{begin}\n{text}\n{END}{after}"))
    });
    ensure!(marked.is_some(), "{} lacks the lines {begin}and {END}", document.display());
    std::fs::write(document, marked.unwrap_or_default()).context("writing the document")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_replaces_what_stands_between_the_marks() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("search.md");
        let begin = "<!-- measured: cargo xtask bench peers -->\n";
        let other = "<!-- measured: cargo xtask bench scale -->\nkept\n<!-- end -->\n";
        std::fs::write(&document, format!("before\n{other}{begin}old\n{END}after\n")).unwrap();
        replace(&document, "peers", "| new |\n").unwrap();
        let text = std::fs::read_to_string(&document).unwrap();
        assert_eq!(text, format!("before\n{other}{begin}\n| new |\n\n{END}after\n"));
        assert!(replace(&document, "queue", "").is_err());
    }
}
