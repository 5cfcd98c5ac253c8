//! Our programs as they are shipped.

use std::path::{Path, PathBuf};

use crate::command::run;
use crate::paths::target_dir;
use crate::toolchain::clean_cargo;

/// Builds the worker and returns where it is.
pub(super) fn worker(root: &Path) -> anyhow::Result<PathBuf> {
    let words = ["build", "--release", "--locked", "-p", "host", "--bin", "worker"];
    run(clean_cargo(root).args(words))?;
    Ok(target_dir(root).join("release").join("worker"))
}
