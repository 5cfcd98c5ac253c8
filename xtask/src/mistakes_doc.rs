//! `cargo xtask mistakes-doc`: makes the mistakes that authors of plugins make, and writes down what `worker plugins` says.
//!
//! Each mistake is made for real, in a folder of its own, and the real program is run on it. So a message that gets worse
//! changes docs/plugins/mistakes.md, and somebody reads it.

mod answers;
mod description;
mod files;
mod folders;
mod mistake;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, bail};
use serde_json::Value;

use self::mistake::Mistake;
use crate::command::run;
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

const PAGE: &str = "docs/plugins/mistakes.md";

/// Makes each known mistake, and writes docs/plugins/mistakes.md: what `worker plugins check`, `run` and `list` say of it.
#[derive(Debug, clap::Args)]
pub(crate) struct MistakesDoc {
    /// Writes nothing, and fails when the page is not what would be written.
    #[arg(long)]
    check: bool,
}

impl MistakesDoc {
    pub(crate) fn check() -> Self {
        Self { check: true }
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
        let page = page(&target_dir(root).join("debug/worker"))?;
        let path = root.join(PAGE);
        if !self.check {
            fs::write(path, page).with_context(|| format!("writing {PAGE}"))?;
            println!("{PAGE} is written");
        } else if fs::read_to_string(path).unwrap_or_default() != page {
            bail!(
                "{PAGE} is not what the programs say now; write it anew with `cargo xtask mistakes-doc`, and read what changed"
            );
        }
        Ok(())
    }
}

fn page(worker: &Path) -> anyhow::Result<String> {
    let mut page = "# Mistakes, and what is said of them\n\nWritten by `cargo xtask mistakes-doc`, which makes each mistake and runs \
        the command. What the log on standard error has besides is left out, for instance the text of a panic and its backtrace; of a result, its `error` and its `code` are shown. `!` stands \
        before what a command prints when it fails.\n"
        .to_owned();
    let parts = [
        ("The file", files::mistakes()),
        ("What the plugin says of itself", description::mistakes()),
        ("Its answers", answers::mistakes()),
        ("Its settings and its neighbours", folders::mistakes()),
    ];
    for (title, mistakes) in parts {
        page.push_str(&format!(
            "\n## {title}\n\n| mistake | command | what it prints |\n|---|---|---|\n"
        ));
        for mistake in mistakes {
            page.push_str(&row(worker, &mistake).with_context(|| mistake.what.clone())?);
        }
    }
    Ok(page)
}

fn row(worker: &Path, mistake: &Mistake) -> anyhow::Result<String> {
    let folder = tempfile::tempdir().context("making a folder")?;
    for (name, content) in &mistake.files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        fs::write(path, content)?;
    }
    let output = Command::new(worker)
        .arg("plugins")
        .args(&mistake.arguments)
        .current_dir(folder.path())
        .env_clear()
        .envs([("RUST_LOG", "off"), ("PLUGIN_CACHE", "none")])
        .output()
        .context("starting the worker")?;
    let said = printed(&output);
    if said.contains(&folder.path().display().to_string()) {
        bail!("a path of this machine is printed: {said}");
    }
    let mark = if output.status.success() { "" } else { "! " };
    let arguments = mistake.arguments.iter().map(|argument| {
        if argument.contains('"') { format!("'{argument}'") } else { argument.clone() }
    });
    let command = format!("`worker plugins {}`", arguments.collect::<Vec<_>>().join(" "));
    Ok(format!("| {} | {} | {mark}{} |\n", mistake.what, cell(&command), cell(&said)))
}

/// Standard error, then standard output. Of a result what does not change from run to run.
fn printed(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let result: Option<Value> = serde_json::from_str(&stdout).ok();
    let at = |place: &str| result.as_ref().and_then(|result| result.pointer(place));
    let shown = match at("/success") {
        None => stdout.into_owned(),
        Some(Value::Bool(true)) => String::new(),
        Some(_) => {
            let text = |place| at(place).map(Value::to_string).unwrap_or_default();
            format!("\"error\": {}, \"code\": {}", text("/error"), text("/metadata/code"))
        }
    };
    format!("{told}{shown}").trim().to_owned()
}

/// A text as one cell of a table in Markdown.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "&lt;")
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(cell("a | b\n  <c>"), "a \\| b<br>&lt;c>");
    }

    #[test]
    fn every_mistake_can_be_made_and_has_a_name_of_its_own() {
        let mut names: Vec<String> =
            [files::mistakes(), description::mistakes(), answers::mistakes(), folders::mistakes()]
                .into_iter()
                .flatten()
                .map(|mistake| mistake.what)
                .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert!(count >= 25 && names.len() == count, "{count}");
    }
}
