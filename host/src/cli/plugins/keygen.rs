//! `worker plugins keygen`.

use std::io::Write;
use std::path::PathBuf;

use super::password::PasswordFlags;
use crate::trust::signing::SigningKey;

/// Makes a key to sign plugins with, in minisign's format. Keep the secret half away from the servers.
#[derive(Debug, clap::Args)]
pub(super) struct Keygen {
    /// The file for the secret half; the public half is written beside it, with the ending `pub`.
    #[arg(default_value = "plugins.key")]
    file: PathBuf,
    #[command(flatten)]
    password: PasswordFlags,
}

impl Keygen {
    pub(super) fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let public = self.file.with_extension("pub");
        anyhow::ensure!(public != self.file, "the secret half needs another ending than `pub`");
        let line = self
            .password
            .with(|password| SigningKey::generate(&self.file, &public, password))??;
        writeln!(out, "secret half: {} (keep it away from the servers)", self.file.display())?;
        writeln!(out, "public half: {}", public.display())?;
        writeln!(out, "trust it on each worker: --trust {line}")?;
        Ok(true)
    }
}
