//! Signatures in minisign's format, as those of plugins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow};
use minisign::{PublicKey, SecretKey, SecretKeyBox};

use crate::command::capture;

/// A secret key, and the files that it was read from.
pub(super) struct Key {
    secret: SecretKey,
    public: PublicKey,
    file: PathBuf,
    password_file: Option<PathBuf>,
}

impl Key {
    /// Reads the key, if there is one.
    pub(super) fn read(
        file: Option<&Path>,
        password: Option<&Path>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(file) = file else { return Ok(None) };
        let absolute = |path: &Path| std::path::absolute(path).context("finding a file");
        let text = fs::read_to_string(file)
            .with_context(|| format!("reading the key in {}", file.display()))?;
        let boxed = SecretKeyBox::from(text);
        let secret = match password {
            None => boxed.into_unencrypted_secret_key(),
            Some(password) => {
                let text = fs::read_to_string(password)
                    .with_context(|| format!("reading the password in {}", password.display()))?;
                boxed.into_secret_key(Some(text.lines().next().unwrap_or_default().to_owned()))
            }
        };
        let wrong = |error| anyhow!("{} cannot be used as a secret key: {error}", file.display());
        let secret = secret.map_err(wrong)?;
        let public = PublicKey::from_secret_key(&secret).map_err(wrong)?;
        let password_file = password.map(absolute).transpose()?;
        Ok(Some(Self { secret, public, file: absolute(file)?, password_file }))
    }

    /// The signature of `text`, which covers `comment` too.
    pub(super) fn sign(&self, text: &[u8], comment: &str) -> anyhow::Result<String> {
        let remark = Some("signature of a release");
        let signed = minisign::sign(Some(&self.public), &self.secret, text, Some(comment), remark);
        Ok(signed.map_err(|error| anyhow!("cannot sign: {error}"))?.into_string())
    }

    /// Signs the plugins of the archive with its own worker, as a worker that requires signatures wants them.
    pub(super) fn sign_plugins(&self, staged: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(staged.join("plugins")).context("listing the plugins")? {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "wasm") {
                continue;
            }
            let mut worker = Command::new(staged.join("bin/worker"));
            worker.args(["plugins", "sign", "--plugin-cache", "none", "--key"]).arg(&self.file);
            match &self.password_file {
                Some(password) => worker.arg("--password-file").arg(password),
                None => worker.arg("--no-password"),
            };
            print!("{}", capture(worker.arg(&path)).context("signing a plugin")?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use minisign::{KeyPair, SignatureBox};

    use super::*;

    #[test]
    fn what_a_key_signs_is_verified_with_its_other_half_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        fs::write(&file, pair.sk.to_box(None).unwrap().to_bytes()).unwrap();
        let key = Key::read(Some(&file), None).unwrap().unwrap();
        let signature = key.sign(b"sums", "of a release").unwrap();
        let signature = SignatureBox::from_string(&signature).unwrap();
        let verify = |text: &[u8]| {
            minisign::verify(&pair.pk, &signature, Cursor::new(text.to_vec()), true, false, false)
        };
        assert!(verify(b"sums").is_ok());
        assert!(verify(b"sumz").is_err());
        assert!(Key::read(None, None).unwrap().is_none());
        assert!(Key::read(Some(&folder.path().join("none")), None).is_err());
    }
}
