//! `cargo xtask settings-doc`: the table of all settings, made from the programs' own descriptions.
//!
//! `coordinator/tests/it/settings.rs` fails when the table is not what would be written now.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::command::{capture, run};
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

/// Where the table stands.
const PAGE: &str = "docs/configuration.md";
const BEGIN: &str = "<!-- settings: written by `cargo xtask settings-doc` -->\n";
const END: &str = "<!-- end of settings -->";
const HEAD: &str =
    "| variable | key | flag | default | program | meaning |\n|---|---|---|---|---|---|\n";

/// Writes the table of settings in docs/configuration.md.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsDoc;

impl SettingsDoc {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
        let rows = |program: &str| -> anyhow::Result<Vec<String>> {
            let mut command = Command::new(target_dir(root).join("debug").join(program));
            // In a folder without a `.env` and a file of settings.
            let folder = tempfile::tempdir().context("making a folder")?;
            command.args(["config", "table"]).env_clear().current_dir(folder.path());
            Ok(capture(&mut command)?.lines().map(str::to_owned).collect())
        };
        let table = table(&[rows("coordinator")?, rows("worker")?]);
        let page = root.join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("reading {PAGE}"))?;
        let text = replaced(&text, &table).with_context(|| format!("{PAGE} has no `{END}`"))?;
        fs::write(&page, text).with_context(|| format!("writing {PAGE}"))?;
        println!("{PAGE} is written");
        Ok(())
    }
}

/// The rows of all programs, each once, those of both programs first.
fn table(programs: &[Vec<String>]) -> String {
    let mut seen = BTreeSet::new();
    let all: Vec<&String> = programs.iter().flatten().filter(|row| seen.insert(*row)).collect();
    let (both, own): (Vec<&String>, Vec<&String>) =
        all.into_iter().partition(|row| row.contains(" | both | "));
    let rows = both.into_iter().chain(own).map(|row| format!("{row}\n"));
    format!("{HEAD}{}", rows.collect::<String>())
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_programs_have_stands_once_and_first() {
        let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
        let one = rows(&["| a | one | x |", "| b | both | y |"]);
        let two = rows(&["| b | both | y |", "| c | two | z |"]);
        let expected = format!("{HEAD}| b | both | y |\n| a | one | x |\n| c | two | z |\n");
        assert_eq!(table(&[one, two]), expected);
    }

    #[test]
    fn only_the_table_of_the_page_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}\nafter\n");
        let new = replaced(&page, "| new |\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\n| new |\n\n{END}\nafter\n"));
        assert_eq!(replaced(&new, "| new |\n").unwrap(), new);
        assert_eq!(replaced("nothing", ""), None);
    }
}
