//! Rules about the text of files: the frozen contract, lints, key names.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::files::{files_below, read};
use crate::violation::Violation;
use crate::workspace::Workspace;

/// Released packages of the contract; a component built against one runs for ever.
const RELEASED: &str = "wit/released/1.0.0";
/// Folders whose code may need a Redis key, and the one file of each crate that spells its own.
const KEY_USERS: &[&str] = &["queue/src", "queue/lua", "host/src", "coordinator/src"];
const KEY_FILES: &[&str] =
    &["queue/src/redis/keys.rs", "coordinator/src/keys.rs", "host/src/imports/cache.rs"];

/// A released file never changes.
pub(super) fn frozen_contract(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let released = files_below(&root.join(RELEASED), "wit")?;
    if released.is_empty() {
        let copy = format!("mkdir -p {RELEASED} && cp wit/*.wit {RELEASED}/");
        return Ok(vec![Violation::new(RELEASED, "there is no frozen copy of the contract", copy)]);
    }
    let mut violations = Vec::new();
    for frozen in released {
        let name = frozen.file_name().context("a file has a name")?;
        let current = Path::new("wit").join(name);
        if fs::read(root.join(&current)).ok() != Some(read(&frozen)?.into_bytes()) {
            violations.push(Violation::new(
                current.to_string_lossy(),
                format!("differs from {RELEASED}"),
                "take the change back; what is new goes into a new package version (wit/CHANGES.md)",
            ));
        }
    }
    Ok(violations)
}

/// Every member takes the workspace's lints.
pub(super) fn workspace_lints(workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for member in workspace.members() {
        if !takes_workspace_lints(&read(&member.manifest)?) {
            violations.push(Violation::new(
                format!("`{}`'s Cargo.toml", member.name),
                "does not take the workspace's lints",
                "add `[lints]` with `workspace = true`",
            ));
        }
    }
    Ok(violations)
}

fn takes_workspace_lints(manifest: &str) -> bool {
    let mut section = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        section == "[lints]" && line.replace(' ', "") == "workspace=true"
    })
}

/// Only one file of a crate spells its key names, so that their layout can be changed in one place.
pub(super) fn key_names(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for folder in KEY_USERS {
        let folder = root.join(folder);
        let mut files = files_below(&folder, "rs")?;
        files.extend(files_below(&folder, "lua")?);
        for file in files {
            let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
            let of_tests = name.ends_with("/tests.rs") || name.contains("/tests/");
            if KEY_FILES.contains(&name.as_str()) || of_tests {
                continue;
            }
            violations.extend(spelled_keys(&read(&file)?).map(|line| {
                let what = format!("line {line} spells a Redis key");
                Violation::new(
                    name.as_str(),
                    what,
                    format!("take it from {}", KEY_FILES.join(", ")),
                )
            }));
        }
    }
    Ok(violations)
}

/// Numbers of the lines that spell a key, before the file's tests and outside comments.
fn spelled_keys(source: &str) -> impl Iterator<Item = usize> + '_ {
    let code = source.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let code = code.filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with("--")
    });
    // The contract's package and its Rust path have the same first word.
    let others = |line: &str| line.replace("freefans:plugin", "").replace("freefans::", "");
    code.filter(move |(_, line)| others(line).contains("freefans:") || line.contains(".scoped("))
        .map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests;
