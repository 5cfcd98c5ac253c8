//! Checks a candidate's signature against the worker's policy, before anything of the candidate is compiled or run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::LoadError;
use crate::grants::diff::{Access, diff};
use crate::plugin::read::{self, ComponentFile};
use crate::trust::memory::Memory;
use crate::trust::remembered::Remembered;
use crate::trust::{
    Declared, MAX_SIGNATURE_BYTES, Policy, Refusal, Signed, Verdict, signature_path,
};
use crate::version::SignedVersion;

/// Where a candidate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plugin) enum Source {
    /// The plugin folder.
    InPlace,
    /// The archive of versions that were accepted before.
    Archive,
}

/// The policy, and what was accepted so far.
#[derive(Debug, Clone, Default)]
pub(in crate::plugin) struct SignatureCheck {
    pub(in crate::plugin) policy: Policy,
    pub(in crate::plugin) memory: Arc<Memory>,
}

/// A candidate whose signature was checked. What it declares is still to be compared.
pub(in crate::plugin) struct Checked {
    plugin: String,
    /// The text of the signature file.
    text: Option<String>,
    settings: String,
    remembered: Option<Remembered>,
    verdict: Verdict,
    /// Whether grants that no signature covers may not grow.
    bounded: bool,
}

impl SignatureCheck {
    /// Checks the bytes, the settings and the age of a candidate. Nothing is read when no key is trusted.
    pub(in crate::plugin) async fn check(
        &self,
        file: &ComponentFile,
        settings: &str,
        source: Source,
    ) -> Result<Checked, LoadError> {
        let mut checked = Checked {
            plugin: file.plugin.clone(),
            text: None,
            settings: settings.to_owned(),
            remembered: None,
            verdict: Verdict::Unchecked,
            bounded: self.policy.is_required(),
        };
        if !self.policy.is_active() {
            return Ok(checked);
        }
        checked.text = read_signature(&file.plugin, &file.path).await?;
        checked.remembered = self.remembered(&file.plugin).await?;
        let policy = self.policy.clone();
        let wasm = file.wasm.clone();
        // It reads the whole component.
        let checking = tokio::task::spawn_blocking(move || {
            let signed = Signed {
                plugin: &checked.plugin,
                component: &wasm,
                settings: &checked.settings,
                signature: checked.text.as_deref(),
                declared: None,
                remembered: checked.remembered.as_ref(),
                from_archive: source == Source::Archive,
            };
            let verdict = policy.check(&signed)?;
            Ok::<_, Refusal>(Checked { verdict, ..checked })
        });
        let checked = checking.await.unwrap_or_else(|error| {
            let problem = format!("checking it panicked: {error}");
            Err(Refusal::Unreadable { plugin: file.plugin.clone(), problem })
        })?;
        let plugin = file.plugin.as_str();
        match &checked.verdict {
            Verdict::Signed(accepted) => {
                tracing::info!(plugin, key = accepted.key_id, "plugin signed with a trusted key");
            }
            Verdict::Unsigned => {
                tracing::warn!(
                    plugin,
                    "plugin not signed; accepted, because no signature is required (--require-signatures)"
                );
            }
            Verdict::Unchecked => {}
        }
        Ok(checked)
    }

    async fn remembered(&self, plugin: &str) -> Result<Option<Remembered>, LoadError> {
        let memory = Arc::clone(&self.memory);
        let name = plugin.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let path = || memory.path(&name).unwrap_or_else(|| PathBuf::from(&name));
            memory.get(&name).map_err(|source| LoadError::Read { path: path(), source })
        });
        reading.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(LoadError::Read { path: PathBuf::from(plugin), source })
        })
    }
}

/// The text of the signature beside a component; none when there is no such file.
async fn read_signature(plugin: &str, component: &Path) -> Result<Option<String>, LoadError> {
    let bytes = match read::read_bounded(&signature_path(component), MAX_SIGNATURE_BYTES).await {
        Err(LoadError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        read => read?,
    };
    let text = String::from_utf8(bytes.into()).map_err(|_not_text| Refusal::Unreadable {
        plugin: plugin.to_owned(),
        problem: "it is no text".to_owned(),
    })?;
    Ok(Some(text))
}

impl Checked {
    /// Refuses a candidate that may do more than the version before, when no signature says that it may. Without a
    /// version before, what it may do without any settings is the measure.
    pub(in crate::plugin) fn check_grants(&self, imports: &[String]) -> Result<Access, LoadError> {
        if self.verdict == Verdict::Unchecked {
            return Ok(Access::default());
        }
        let read = |text: &str| {
            Access::read(text, imports).map_err(|problem| LoadError::Settings {
                path: PathBuf::from(&self.plugin).with_extension("toml"),
                problem,
            })
        };
        let access = read(&self.settings)?;
        if self.bounded && !self.verdict.covers_settings() {
            let before = match &self.remembered {
                Some(remembered) => remembered.access.clone(),
                None => read("")?,
            };
            let wider = diff(&before, &access);
            if !wider.is_empty() {
                return Err(Refusal::WiderGrants { plugin: self.plugin.clone(), wider }.into());
            }
        }
        Ok(access)
    }

    /// Compares with what the component says of itself.
    pub(in crate::plugin) fn check_declared(
        &self,
        name: &str,
        version: &str,
    ) -> Result<(), LoadError> {
        Ok(self.verdict.check_declared(&self.plugin, Declared { name, version })?)
    }

    /// The signature, for the archive and for the next check.
    pub(in crate::plugin) fn into_signed(self, access: Access) -> Option<SignedVersion> {
        let accepted = self.verdict.accepted()?.clone();
        Some(SignedVersion { text: self.text?, accepted, access })
    }
}
