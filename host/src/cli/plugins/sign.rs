//! `worker plugins sign`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use queue::task::now_ms;
use semver::Version;

use super::folders;
use super::password::PasswordFlags;
use crate::cli::flags::CacheFlag;
use crate::trust::comment::{Covered, CoveredSettings};
use crate::trust::signing::SigningKey;
use crate::trust::{Policy, Signed, signature_path};
use crate::version::name::stem;

/// Signs a plugin: writes FILE.minisig. It covers the component, the name and version that it declares, and the settings
/// beside it.
#[derive(Debug, clap::Args)]
pub(super) struct Sign {
    /// The component.
    file: PathBuf,
    /// The secret key, made by `worker plugins keygen` or by `minisign -G`.
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,
    #[command(flatten)]
    password: PasswordFlags,
    /// Does not cover the settings: whoever runs the plugin writes them. Where signatures are required, they may then
    /// grant no more than those of the version before.
    #[arg(long)]
    without_settings: bool,
    /// Signs an operator's way back: this version is taken in place of VERSION, which is higher, by the workers whose
    /// highest accepted version is exactly VERSION.
    #[arg(long, value_name = "VERSION")]
    rollback_from: Option<Version>,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Sign {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let host = folders::offline_host(&self.cache)?;
        let (wasm, descriptor) = host.describe(&self.file).await?;
        let file = stem(&self.file);
        anyhow::ensure!(
            file == descriptor.name,
            "the plugin calls itself `{name}`, and a signature is good for one name only; name the file {name}.wasm",
            name = descriptor.name
        );
        let version: Version = descriptor.version.parse().with_context(|| {
            format!("its version `{}` is no semantic version (semver.org)", descriptor.version)
        })?;
        let text = settings(&self.file)?;
        let settings =
            if self.without_settings { CoveredSettings::Any } else { CoveredSettings::of(&text) };
        if let Some(from) = &self.rollback_from {
            anyhow::ensure!(
                version.cmp_precedence(from).is_lt(),
                "a rollback goes to a lower version, and {version} is not below {from}"
            );
        }
        let covered = Covered {
            name: descriptor.name,
            version,
            settings,
            timestamp: now_ms() / 1_000,
            rollback_from: self.rollback_from,
        };
        let key = self.password.with(|password| SigningKey::read(&self.key, password))??;
        let signature = key.sign(&wasm, &covered)?;
        // What is written is what a worker would take.
        let policy = Policy::new(key.public().into_iter().collect(), true);
        policy.check(&Signed {
            plugin: &file,
            component: &wasm,
            settings: &text,
            signature: Some(&signature),
            declared: None,
            remembered: None,
            from_archive: false,
        })?;
        let path = signature_path(&self.file);
        write(&path, signature.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "{}: {covered}", path.display())?;
        writeln!(out, "signed with {}", key.public_line())?;
        Ok(true)
    }
}

/// The text of the settings beside a component; empty when there are none.
pub(super) fn settings(component: &Path) -> anyhow::Result<String> {
    let path = component.with_extension("toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// A worker never sees a partly written file.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("minisig.part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(part, path)
}
