//! The password of a secret key: from the terminal, from a file, or none.

use std::path::PathBuf;

use anyhow::Context;

use crate::trust::signing::Password;

/// Where the password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordFlags {
    /// A file with the key's password in its first line. Default: it is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The key has no password: whoever reads its file can sign.
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
}

impl PasswordFlags {
    /// Calls `with` with the password.
    pub(super) fn with<T>(&self, with: impl FnOnce(Password<'_>) -> T) -> anyhow::Result<T> {
        if self.no_password {
            return Ok(with(Password::None));
        }
        let Some(path) = &self.password_file else { return Ok(with(Password::Ask)) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the password in {}", path.display()))?;
        let password = text.lines().next().unwrap_or_default();
        anyhow::ensure!(!password.is_empty(), "{} begins with an empty line", path.display());
        Ok(with(Password::Given(password)))
    }
}
