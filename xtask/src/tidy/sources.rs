//! Rules about the text of files: the frozen contract, lints, key names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

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

/// Files with this ending in a folder and all below it, in a fixed order; none when it is absent.
fn files_below(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let entries = folder.read_dir().with_context(|| format!("listing {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests;
