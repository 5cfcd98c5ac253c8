//! `cargo xtask settings-doc` and `cargo xtask metrics-doc`: the tables of all settings and metrics, made from the programs' own
//! descriptions.
//!
//! `coordinator/tests/it/settings.rs` and `metrics.rs` there fail when a table is not what would be written now.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::command::{capture, run};
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

/// A page with a table that is made.
struct Page {
    path: &'static str,
    /// What stands before and after the table.
    marks: (&'static str, &'static str),
    head: &'static str,
    /// What the programs are asked for.
    action: &'static str,
}

const SETTINGS: Page = Page {
    path: "docs/configuration.md",
    marks: (
        "<!-- settings: written by `cargo xtask settings-doc` -->\n",
        "<!-- end of settings -->",
    ),
    head: "| variable | key | flag | default | program | meaning |\n|---|---|---|---|---|---|\n",
    action: "table",
};
const METRICS: Page = Page {
    path: "docs/operations.md",
    marks: ("<!-- metrics: written by `cargo xtask metrics-doc` -->\n", "<!-- end of metrics -->"),
    head: "| name | kind | labels | served by | meaning |\n|---|---|---|---|---|\n",
    action: "metrics",
};

/// Writes the table of settings in docs/configuration.md.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsDoc;

impl SettingsDoc {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        SETTINGS.write(root)
    }
}

/// Writes the table of metrics in docs/operations.md.
#[derive(Debug, clap::Args)]
pub(crate) struct MetricsDoc;

impl MetricsDoc {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        METRICS.write(root)
    }
}

impl Page {
    fn write(&self, root: &Path) -> anyhow::Result<()> {
        let Self { path, marks, head, action } = self;
        run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
        let rows = |program: &str| -> anyhow::Result<Vec<String>> {
            let mut command = Command::new(target_dir(root).join("debug").join(program));
            // In a folder without a `.env` and a file of settings.
            let folder = tempfile::tempdir().context("making a folder")?;
            command.args(["config", action]).env_clear().current_dir(folder.path());
            Ok(capture(&mut command)?.lines().map(str::to_owned).collect())
        };
        let table = format!("{head}{}", rows_of(&[rows("coordinator")?, rows("worker")?]));
        let page = root.join(path);
        let text = fs::read_to_string(&page).with_context(|| format!("reading {path}"))?;
        let text = replaced(&text, *marks, &table)
            .with_context(|| format!("{path} has no `{}`", marks.1))?;
        fs::write(&page, text).with_context(|| format!("writing {path}"))?;
        println!("{path} is written");
        Ok(())
    }
}

/// The rows of all programs, each once, those of both programs first.
fn rows_of(programs: &[Vec<String>]) -> String {
    let mut seen = BTreeSet::new();
    let all: Vec<&String> = programs.iter().flatten().filter(|row| seen.insert(*row)).collect();
    let (both, own): (Vec<&String>, Vec<&String>) =
        all.into_iter().partition(|row| row.contains(" | both | "));
    both.into_iter().chain(own).map(|row| format!("{row}\n")).collect()
}

fn replaced(page: &str, (begin, end): (&str, &str), table: &str) -> Option<String> {
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_programs_have_stands_once_and_first() {
        let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
        let one = rows(&["| a | one | x |", "| b | both | y |"]);
        let two = rows(&["| b | both | y |", "| c | two | z |"]);
        let expected = "| b | both | y |\n| a | one | x |\n| c | two | z |\n";
        assert_eq!(rows_of(&[one, two]), expected);
    }

    #[test]
    fn only_the_table_of_the_page_is_replaced() {
        let marks @ (begin, end) = SETTINGS.marks;
        let page = format!("before\n{begin}old\n{end}\nafter\n");
        let new = replaced(&page, marks, "| new |\n").unwrap();
        assert_eq!(new, format!("before\n{begin}\n| new |\n\n{end}\nafter\n"));
        assert_eq!(replaced(&new, marks, "| new |\n").unwrap(), new);
        assert_eq!(replaced("nothing", marks, ""), None);
    }
}
