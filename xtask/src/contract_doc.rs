//! `cargo xtask contract-doc`: the reference of the plugin contract, made from the WIT files.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// The page.
const PAGE: &str = "docs/plugins/reference.md";
/// The files of the contract, in the order of the page.
const FILES: &[&str] = &["world", "types", "log", "config", "data", "cache", "progress"];
const HEAD: &str = "# Reference of the contract

Written by `cargo xtask contract-doc` from the files in [wit](../../wit). What JSON in them means is in
[plugin-contract.md](../plugin-contract.md).
";

/// Writes docs/plugins/reference.md.
#[derive(Debug, clap::Args)]
pub(crate) struct ContractDoc;

impl ContractDoc {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        fs::write(root.join(PAGE), page(root)?).with_context(|| format!("writing {PAGE}"))?;
        println!("{PAGE} is written");
        Ok(())
    }
}

/// The whole page.
fn page(root: &Path) -> anyhow::Result<String> {
    let mut page = HEAD.to_owned();
    for name in FILES {
        let file = format!("wit/{name}.wit");
        let wit =
            fs::read_to_string(root.join(&file)).with_context(|| format!("reading {file}"))?;
        page.push_str(&section(&wit));
    }
    Ok(page)
}

/// One interface: its documentation, and its items with theirs.
fn section(wit: &str) -> String {
    let mut page = String::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut code: Vec<&str> = Vec::new();
    // Items are at the first level within the interface.
    let mut level = 0_usize;
    for line in wit.lines() {
        let text = line.trim();
        let is_doc = text.starts_with("///");
        if code.is_empty() && is_doc {
            docs.push(text.trim_start_matches("///").trim_start());
            continue;
        }
        if level == 0 {
            if let Some(name) = text.strip_suffix(" {") {
                page.push_str(&format!("\n## {}\n\n{}\n", heading(name), paragraphs(&docs)));
                docs.clear();
                level = 1;
            }
            continue;
        }
        if code.is_empty() && (text.is_empty() || text == "}") {
            docs.clear();
            continue;
        }
        code.push(line.strip_prefix("  ").unwrap_or(line));
        level += text.matches('{').count();
        level = level.saturating_sub(text.matches('}').count());
        if level == 1 && (text.ends_with(';') || text.ends_with('}')) {
            if !docs.is_empty() {
                page.push_str(&format!("\n{}\n", paragraphs(&docs)));
            }
            page.push_str(&format!("\n```wit\n{}\n```\n", code.join("\n")));
            docs.clear();
            code.clear();
        }
    }
    page
}

/// `interface log` as `log`, and `world plugin` as `The world`.
fn heading(name: &str) -> String {
    let word = name.split_whitespace().last().unwrap_or(name);
    if name.starts_with("world") { "The world".to_owned() } else { format!("`{word}`") }
}

/// Lines of a comment as Markdown, in which they are paragraphs already.
fn paragraphs(docs: &[&str]) -> String {
    docs.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_would_be_written_now() {
        let root = test_kit::root();
        let written = fs::read_to_string(root.join(PAGE)).unwrap();
        assert!(written == page(&root).unwrap(), "run `cargo xtask contract-doc`");
    }

    #[test]
    fn each_item_stands_with_its_own_words() {
        let wit = "package a;\n\n/// Says.\n///\n/// More.\ninterface log {\n  /// A level.\n  enum level {\n    /// Low.\n    low,\n  }\n\n  /// Writes.\n  write: func(level: level);\n}\n";
        let expected = "\n## `log`\n\nSays.\n\nMore.\n\nA level.\n\n```wit\nenum level {\n  /// Low.\n  low,\n}\n```\n\nWrites.\n\n```wit\nwrite: func(level: level);\n```\n";
        assert_eq!(section(wit), expected);
    }
}
