//! The programs that the checks need beside cargo.

use std::path::Path;

use anyhow::Context;

use crate::command::{capture, run};
use crate::toolchain::clean_cargo;
use crate::{debian, redis};

/// Cargo's subcommands, at versions known to build with our compiler.
const CARGO_TOOLS: &[(&str, &str)] = &[("nextest", "0.9.143"), ("deny", "0.20.2")];

/// Installs what is missing; what is there is taken as it is.
pub(super) fn ensure(root: &Path) -> anyhow::Result<()> {
    redis::ensure_installed()?;
    debian::ensure_browser()?;
    if debian::find("openssl").is_none() {
        debian::install(&["openssl"])
            .context("some tests make certificates, and there is no openssl")?;
    }
    if debian::find("promtool").is_none() || debian::find("prometheus").is_none() {
        debian::install(&["prometheus"])
            .context("the alert rules are tested with Prometheus, and there is no prometheus")?;
    }
    if (debian::find("docker-registry").is_none() || debian::find("skopeo").is_none())
        && let Err(error) = debian::install(&["docker-registry", "skopeo"])
    {
        println!("  no registry for containers, so the tests with one are passed over: {error:#}");
    }
    for (name, version) in CARGO_TOOLS {
        if capture(clean_cargo(root).args([name, "--version"])).is_ok() {
            continue;
        }
        println!("  installing cargo-{name} {version}; this takes some minutes");
        let mut command = clean_cargo(root);
        command.args(["install", "--locked", "--version", version, &format!("cargo-{name}")]);
        // Its build must not fill, or wait for, the project's target directory.
        command.env_remove("CARGO_TARGET_DIR");
        run(&mut command).with_context(|| format!("installing cargo-{name}"))?;
    }
    Ok(())
}
