//! Brings the peers onto the machine, at the versions in `xtask/peers`, below `target/peers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::command::{capture, run};
use crate::debian;
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

/// Debian's package with Sidekiq, and the version that is compared. Its own package manager is not asked: Debian has all that
/// it needs.
const SIDEKIQ: (&str, &str) = ("ruby-sidekiq", "6.4.1");

/// Where the peers' files are, and where they are installed.
pub(super) struct Folders {
    sources: PathBuf,
    installed: PathBuf,
}

impl Folders {
    pub(super) fn of(root: &Path) -> Self {
        Self {
            sources: root.join("xtask").join("peers"),
            installed: target_dir(root).join("peers"),
        }
    }

    pub(super) fn source(&self, name: &str) -> PathBuf {
        self.sources.join(name)
    }

    /// The folder with a Python interpreter and its packages, `bin/python` among them.
    pub(super) fn python(&self, requirements: &str) -> anyhow::Result<PathBuf> {
        let wanted = self.source("python").join(requirements);
        let folder = self.installed.join(Path::new(requirements).with_extension(""));
        let stamp = folder.join(requirements);
        if same(&stamp, &wanted) {
            return Ok(folder.join("bin"));
        }
        println!("  installing {} into {}", wanted.display(), folder.display());
        capture(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .context("making a Python environment (Debian: package python3-venv)")?;
        let mut pip = Command::new(folder.join("bin").join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        capture(pip.arg(&wanted)).context("installing Python packages")?;
        fs::copy(&wanted, &stamp).context("noting what is installed")?;
        Ok(folder.join("bin"))
    }

    /// The folder with BullMQ and the script.
    pub(super) fn bullmq(&self) -> anyhow::Result<PathBuf> {
        ensure!(debian::find("node").is_some(), "there is no `node` (20 or newer) on PATH");
        let source = self.source("bullmq");
        let folder = self.installed.join("bullmq");
        fs::create_dir_all(&folder).context("making a folder for BullMQ")?;
        // Node looks for packages beside the script.
        for file in ["package.json", "peer.js"] {
            fs::copy(source.join(file), folder.join(file)).context("copying BullMQ's files")?;
        }
        let lock = source.join("package-lock.json");
        let stamp = folder.join("package-lock.json");
        if !same(&stamp, &lock) || !folder.join("node_modules").is_dir() {
            println!("  installing BullMQ into {}", folder.display());
            fs::copy(&lock, &stamp).context("copying BullMQ's lock file")?;
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
            capture(&mut npm).inspect_err(|_| drop(fs::remove_file(&stamp)))?;
        }
        Ok(folder)
    }

    /// The program with apalis.
    pub(super) fn apalis(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let folder = self.installed.join("apalis");
        let mut cargo = clean_cargo(root);
        cargo.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]);
        cargo.arg(self.source("apalis").join("Cargo.toml"));
        run(cargo.env("CARGO_TARGET_DIR", &folder)).context("building apalis")?;
        Ok(folder.join("release").join("apalis-peer"))
    }

    /// Makes sure that Sidekiq is there.
    #[expect(clippy::unused_self, reason = "every peer is installed the same way")]
    pub(super) fn sidekiq(&self) -> anyhow::Result<()> {
        let (package, wanted) = SIDEKIQ;
        if debian::find("sidekiq").is_none() {
            debian::install(&[package])?;
        }
        let mut ask = Command::new("dpkg-query");
        let version = capture(ask.args(["--show", "--showformat", "${Version}", package]))?;
        if !version.starts_with(wanted) {
            bail!("the installed {package} is {version}, and {wanted} is what is compared");
        }
        Ok(())
    }
}

/// Whether both files are there with the same content.
fn same(one: &Path, other: &Path) -> bool {
    let both = fs::read(one).ok().zip(fs::read(other).ok());
    both.is_some_and(|(one, other)| one == other)
}

/// The version of a Python package in a file of requirements.
pub(super) fn pinned(requirements: &str, package: &str) -> Option<String> {
    let lines = requirements.lines().filter_map(|line| line.split_once("=="));
    let mut versions = lines
        .filter(|(name, _)| name.split('[').next() == Some(package))
        .map(|(_, version)| version.trim().to_owned());
    versions.next()
}

pub(super) fn sidekiq_version() -> &'static str {
    SIDEKIQ.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_requirements() {
        let text = "# why\ncelery[redis]==5.7.0\nrq==3.0.0\n";
        assert_eq!(pinned(text, "celery").as_deref(), Some("5.7.0"));
        assert_eq!(pinned(text, "rq").as_deref(), Some("3.0.0"));
        assert_eq!(pinned(text, "arq"), None);
    }

    #[test]
    fn every_python_package_is_pinned() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("python");
        for file in ["requirements.txt", "requirements-arq.txt"] {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                assert!(line.contains("=="), "{file}: {line}");
            }
        }
    }
}
