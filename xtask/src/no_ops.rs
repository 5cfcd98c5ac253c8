//! Plugins that do nothing, each with one task type: a worker with many of them shows what a type costs.

use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

/// A folder of them.
pub(crate) struct NoOps {
    folder: TempDir,
    types: Vec<String>,
}

impl NoOps {
    pub(crate) fn new(count: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("creating a folder for plugins")?;
        let types: Vec<String> = (0..count).map(|number| format!("noop{number:03}")).collect();
        for name in &types {
            let file = folder.path().join(name).with_extension("wasm");
            std::fs::write(file, test_kit::harmless_guest_named(name))
                .context("writing a plugin")?;
        }
        Ok(Self { folder, types })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn types(&self) -> &[String] {
        &self.types
    }
}
