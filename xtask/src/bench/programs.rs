//! Our programs, as they are shipped or as they are tested.

use std::path::{Path, PathBuf};

use crate::command::run;
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

/// Builds the worker as the tests are built, and returns where it is.
pub(super) fn development_worker(root: &Path) -> anyhow::Result<PathBuf> {
    run(clean_cargo(root).args(["build", "--locked", "--workspace", "--bins"]))?;
    Ok(target_dir(root).join("debug/worker"))
}

/// Builds the worker and returns where it is.
pub(super) fn worker(root: &Path) -> anyhow::Result<PathBuf> {
    let words = ["build", "--release", "--locked", "-p", "host", "--bin", "worker"];
    run(clean_cargo(root).args(words))?;
    Ok(target_dir(root).join("release").join("worker"))
}
