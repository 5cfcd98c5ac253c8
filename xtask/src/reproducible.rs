//! `cargo xtask reproducible`: the plugins are built twice, as on two machines, and must be the same to the byte.
//!
//! The two builds have their sources, cargo's home and the target folder in different places, and another number of jobs, time
//! zone and language. They share the compiler, whose version rust-toolchain.toml names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::command::{capture, run};
use crate::guests::{Guest, Kind};
use crate::toolchain::{TARGET, Toolchain, cargo_home};

/// Builds the plugins in two places and fails when they differ.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Reproducible {
    /// Only these and what is built together with them; by default all that are shipped, and the examples.
    names: Vec<String>,
}

/// How one machine differs from the other.
struct Machine {
    sources: &'static str,
    home: &'static str,
    jobs: &'static str,
    environment: [(&'static str, &'static str); 3],
}

const MACHINES: [Machine; 2] = [
    Machine {
        sources: "a",
        home: "home",
        jobs: "1",
        environment: [("TZ", "UTC"), ("LC_ALL", "C"), ("USER", "one")],
    },
    Machine {
        sources: "quite another/place/for the sources",
        home: "somebody else/.cargo",
        jobs: "2",
        environment: [("TZ", "Pacific/Auckland"), ("LC_ALL", "C.UTF-8"), ("USER", "another")],
    },
];

impl Reproducible {
    /// A plugin, and what is built together with it.
    pub(crate) fn of(name: &str) -> Self {
        Self { names: vec![name.to_owned()] }
    }

    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let guests = Guest::all(root)?;
        let groups = self.groups(&guests);
        ensure!(!groups.is_empty(), "there is no such plugin");
        let toolchain = Toolchain::find(root)?;
        println!("  with {}", toolchain.describe());
        let built = |machine| build(machine, root, &toolchain, &groups);
        let [one, other] = [built(&MACHINES[0])?, built(&MACHINES[1])?];
        let mut differing = Vec::new();
        for ((name, one), (_, other)) in one.iter().zip(&other) {
            let digest = crate::digest::hex(one);
            println!("  {name}: {} bytes, sha256 {digest}", one.len());
            if one != other {
                println!("  {name}: {}", difference(one, other));
                differing.push(*name);
            }
        }
        ensure!(differing.is_empty(), "built twice and not the same: {}", differing.join(", "));
        println!("the two builds are the same to the byte");
        Ok(())
    }
}

impl Reproducible {
    /// The plugins that one call of cargo builds together, as `build-plugins` does: what else is built decides on the features
    /// of shared crates.
    fn groups<'a>(&self, guests: &'a [Guest]) -> Vec<Vec<&'a Guest>> {
        let groups = [Kind::Shipped, Kind::Example].map(|kind| -> Vec<&Guest> {
            guests.iter().filter(|guest| guest.kind == kind).collect()
        });
        let is_wanted = |group: &Vec<&Guest>| {
            let named = |guest: &&Guest| self.names.contains(&guest.name);
            !group.is_empty() && (self.names.is_empty() || group.iter().any(named))
        };
        groups.into_iter().filter(is_wanted).collect()
    }
}

/// The components that a machine builds, by name.
fn build<'a>(
    machine: &Machine,
    root: &Path,
    toolchain: &Toolchain,
    groups: &[Vec<&'a Guest>],
) -> anyhow::Result<Vec<(&'a str, Vec<u8>)>> {
    let place = tempfile::tempdir().context("making a folder")?;
    let sources = place.path().join(machine.sources);
    let home = place.path().join(machine.home);
    println!("building in {}", sources.display());
    copy_sources(root, &sources)?;
    copy_home(&home)?;
    let target = target_of(&place);
    let mut components = Vec::new();
    for group in groups {
        let mut cargo = toolchain.cargo_with_home(&sources, &home)?;
        cargo.args(["--offline", "--quiet", "--jobs", machine.jobs]).envs(machine.environment);
        cargo.env("CARGO_TARGET_DIR", &target);
        for guest in group {
            cargo.args(["--package", &guest.name]);
        }
        run(&mut cargo).context("the plugins do not build")?;
        for guest in group {
            let file = target.join(TARGET).join("guest").join(guest.built());
            let component =
                fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            components.push((guest.name.as_str(), component));
        }
    }
    Ok(components)
}

fn target_of(place: &TempDir) -> PathBuf {
    place.path().join("built")
}

/// What git knows of, and what is new and not ignored.
fn copy_sources(root: &Path, to: &Path) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let files = capture(&mut git).context("listing the sources")?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let from = root.join(file);
        // A file that was deleted and not yet committed is still listed.
        if !from.is_file() && !from.is_symlink() {
            continue;
        }
        let to = to.join(file);
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        if from.is_symlink() {
            let target = fs::read_link(&from).with_context(|| format!("reading {file}"))?;
            std::os::unix::fs::symlink(target, &to).with_context(|| format!("linking {file}"))?;
            continue;
        }
        fs::copy(&from, &to).with_context(|| format!("copying {file}"))?;
    }
    Ok(())
}

/// A home of cargo with the same downloads; cargo unpacks them anew.
fn copy_home(to: &Path) -> anyhow::Result<()> {
    let from = cargo_home()?;
    fs::create_dir_all(to.join("registry"))?;
    for part in ["registry/cache", "registry/index", "config.toml"] {
        let from = from.join(part);
        if from.exists() {
            // Links are quick; between two disks it has to be a copy.
            let copy =
                |flags: &str| capture(Command::new("cp").arg(flags).arg(&from).arg(to.join(part)));
            copy("-al").or_else(|_| copy("-a")).with_context(|| format!("copying {part}"))?;
        }
    }
    Ok(())
}

/// Where two components begin to differ, and the text there.
fn difference(one: &[u8], other: &[u8]) -> String {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let text = |bytes: &[u8]| {
        let around = bytes.get(same.saturating_sub(20)..).unwrap_or_default();
        let around = around.get(..60).unwrap_or(around);
        around.escape_ascii().to_string()
    };
    format!("they differ from byte {same} on: `{}` and `{}`", text(one), text(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_difference_is_told_with_its_text() {
        let said = difference(b"the same, then /home/a/x", b"the same, then /home/b/x");
        assert!(said.contains("byte 21") && said.contains("/home/a/x"), "{said}");
        assert!(difference(b"ab", b"abc").contains("byte 2"));
    }

    #[test]
    fn a_plugin_is_built_with_those_that_are_built_beside_it() {
        let guests = Guest::all(&crate::paths::root().unwrap()).unwrap();
        let groups = |asked: &Reproducible| -> Vec<Vec<String>> {
            let groups = asked.groups(&guests).into_iter();
            groups
                .map(|group| group.into_iter().map(|guest| guest.name.clone()).collect())
                .collect()
        };
        assert_eq!(groups(&Reproducible::of("search")), [["content", "search"]]);
        assert_eq!(groups(&Reproducible::of("dice")), [["dice"]]);
        assert_eq!(groups(&Reproducible::default()).len(), 2);
        assert!(groups(&Reproducible::of("none")).is_empty());
    }

    #[test]
    fn deleted_files_and_ignored_ones_are_not_copied() {
        let root = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            assert!(command.current_dir(root.path()).args(arguments).status().unwrap().success());
        };
        git(&["init", "--quiet"]);
        for (name, text) in
            [(".gitignore", "built\n"), ("kept", "1"), ("gone", "2"), ("built", "3")]
        {
            fs::write(root.path().join(name), text).unwrap();
        }
        git(&["add", "."]);
        fs::remove_file(root.path().join("gone")).unwrap();
        fs::write(root.path().join("new"), "4").unwrap();
        let to = tempfile::tempdir().unwrap();
        copy_sources(root.path(), to.path()).unwrap();
        let mut found: Vec<_> = fs::read_dir(to.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, [".gitignore", "kept", "new"]);
    }
}
