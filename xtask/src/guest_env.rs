//! `cargo xtask guest-env`.

use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::toolchain::Toolchain;

/// Prints, as JSON, what cargo needs in its environment on this machine to build a component outside this repository. Nothing if the
/// target is installed.
#[derive(Debug, clap::Args)]
pub(crate) struct GuestEnv {
    /// The file to write it to.
    file: std::path::PathBuf,
}

impl GuestEnv {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let environment = Toolchain::find(root)?.environment()?;
        let members = environment.into_iter().map(|(name, value)| {
            let value = value.into_string().ok().with_context(|| format!("{name} is no text"))?;
            Ok((name.to_owned(), Value::from(value)))
        });
        let members = members.collect::<anyhow::Result<Map<String, Value>>>()?;
        std::fs::write(&self.file, format!("{:#}\n", Value::Object(members)))
            .with_context(|| format!("writing {}", self.file.display()))
    }
}
