//! Debian packages, installed when a tool is missing and the machine allows it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::command::capture;

/// Finds a program on `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A command that runs as root, directly or through `sudo -n`.
pub(crate) fn as_root(program: &str) -> anyhow::Result<Command> {
    let me = Command::new("id").arg("-u").output().context("asking who we are")?;
    if me.stdout.trim_ascii() == b"0" {
        return Ok(Command::new(program));
    }
    ensure!(find("sudo").is_some(), "installing packages takes root, and there is no sudo");
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    Ok(command)
}

/// Makes sure that Chromium and its driver are on the machine.
pub(crate) fn ensure_browser() -> anyhow::Result<()> {
    if find("chromium").is_some() && find("chromedriver").is_some() {
        return Ok(());
    }
    install(&["chromium", "chromium-driver"]).context("pages are read in a browser")
}

/// Installs or upgrades packages with apt, without questions and without starting their services.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    ensure!(find("apt-get").is_some(), "this machine has no apt");
    println!("  installing {} with apt", packages.join(", "));
    let apt = |arguments: &[&str]| -> anyhow::Result<()> {
        let mut command = as_root("env")?;
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"])
            .args(["-o", "Dpkg::Use-Pty=0"])
            .args(arguments);
        capture(&mut command).map(drop)
    };
    // The package lists of a new machine are empty or outdated. If they cannot be updated, the installation may still
    // succeed.
    let updated = apt(&["update"]);
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    let installed = apt(&arguments);
    match updated {
        Err(error) if installed.is_err() => Err(error),
        Ok(()) | Err(_) => installed,
    }
}
