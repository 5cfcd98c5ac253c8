//! Signatures of plugins: what one covers, which keys are trusted, and what is refused.
//!
//! A signature is a file in minisign's format, `NAME.wasm.minisig` beside `NAME.wasm`; the stock tool verifies it too. Its
//! trusted comment ([`comment::Covered`]) says what it covers besides the bytes of the component: the name and the version
//! that the plugin declares, and the digest of its settings.
//!
//! [`Policy::check`] decides by what it is given, without a file system, so it is the same for a folder and for bytes from
//! elsewhere. What a worker accepted before is in [`memory`].
//!
//! Not here: when a file is checked ([`crate::plugin::load`]).

pub mod comment;
pub mod key;
pub mod memory;
pub mod refusal;
pub mod remembered;
pub mod signing;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use minisign_verify::{Error as Broken, Signature};
use semver::Version;

use self::comment::{Covered, CoveredSettings};
use self::key::TrustedKey;
pub use self::refusal::Refusal;
use self::remembered::Remembered;

/// The longest signature file that is read, in bytes. Ours have about 400.
pub const MAX_SIGNATURE_BYTES: u64 = 8 << 10;
/// What is added to a component's file name.
pub const SIGNATURE_ENDING: &str = "minisig";

/// The path of the signature of the component at `path`: `NAME.wasm.minisig`.
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(SIGNATURE_ENDING);
    name.into()
}

/// Which signatures a worker trusts, and whether it asks for them. The default trusts nobody and asks for nothing: then
/// no signature is looked at.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    keys: Vec<TrustedKey>,
    required: bool,
}

/// Something that may be signed, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The plugin's name where it is to run: its file's name without `.wasm`.
    pub plugin: &'a str,
    /// The component.
    pub component: &'a [u8],
    /// The text of the settings; empty when there are none.
    pub settings: &'a str,
    /// The text of the signature file; none when there is none.
    pub signature: Option<&'a str>,
    /// What the component says of itself; none as long as it has not run. Then [`Verdict::check_declared`] is to follow.
    pub declared: Option<Declared<'a>>,
    /// What was accepted under this name before.
    pub remembered: Option<&'a Remembered>,
    /// Whether it comes from the archive of versions that were accepted before. It may be older than the newest one then.
    pub from_archive: bool,
}

/// The name and the version that a component declares in `describe`.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// The plugin's own name.
    pub name: &'a str,
    /// The plugin's own version number.
    pub version: &'a str,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No key is trusted, so nothing was checked.
    Unchecked,
    /// It has no signature, and none is required.
    Unsigned,
    /// A trusted key has signed it.
    Signed(Accepted),
}

/// An accepted signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The trusted key's id, in hex, as minisign prints it.
    pub key_id: String,
    /// What the signature covers.
    pub covered: Covered,
}

impl Policy {
    /// Trusts the signatures of `keys`. With `required` what is not signed is refused.
    pub fn new(keys: Vec<TrustedKey>, required: bool) -> Self {
        Self { keys, required }
    }

    /// Whether signatures are looked at.
    pub fn is_active(&self) -> bool {
        self.required || !self.keys.is_empty()
    }

    /// Whether what is not signed is refused.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Checks a component and its settings against its signature, and the signature against what was accepted before.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: what was found, and what to do.
    pub fn check(&self, artefact: &Signed<'_>) -> Result<Verdict, Refusal> {
        if !self.is_active() {
            return Ok(Verdict::Unchecked);
        }
        let plugin = artefact.plugin.to_owned();
        let Some(text) = artefact.signature else {
            return if self.required {
                Err(Refusal::Unsigned { plugin })
            } else {
                Ok(Verdict::Unsigned)
            };
        };
        let signature = Signature::decode(text).map_err(|_broken| Refusal::Unreadable {
            plugin: plugin.clone(),
            problem: "it is not a signature in minisign's format".to_owned(),
        })?;
        let key = self.signer(artefact, &signature)?;
        let covered = Covered::read(signature.trusted_comment())
            .map_err(|problem| Refusal::Unreadable { plugin: plugin.clone(), problem })?;
        covered.check_settings(&plugin, artefact.settings)?;
        covered.check_file_name(&plugin)?;
        if !artefact.from_archive
            && let Some(remembered) = artefact.remembered
        {
            covered.check_not_older(&plugin, remembered)?;
        }
        let verdict = Verdict::Signed(Accepted { key_id: key.id.clone(), covered });
        if let Some(declared) = artefact.declared {
            verdict.check_declared(&plugin, declared)?;
        }
        Ok(verdict)
    }

    /// The trusted key that has signed these bytes.
    fn signer(&self, artefact: &Signed<'_>, signature: &Signature) -> Result<&TrustedKey, Refusal> {
        let plugin = || artefact.plugin.to_owned();
        for key in &self.keys {
            return match key.key.verify(artefact.component, signature, false) {
                Ok(()) => Ok(key),
                Err(Broken::UnexpectedKeyId) => continue,
                Err(Broken::InvalidSignature) => {
                    Err(Refusal::Altered { plugin: plugin(), key_id: key.id.clone() })
                }
                Err(other) => Err(Refusal::Unreadable {
                    plugin: plugin(),
                    problem: format!(
                        "it is of a kind that is not taken ({other}); sign it with a newer minisign"
                    ),
                }),
            };
        }
        let text = artefact.signature.unwrap_or_default();
        Err(Refusal::ForeignKey {
            plugin: plugin(),
            key_id: key::id_of_signature(text).unwrap_or_else(|| "?".to_owned()),
            trusted: self.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl Verdict {
    /// The accepted signature.
    pub fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::Signed(accepted) => Some(accepted),
            Self::Unchecked | Self::Unsigned => None,
        }
    }

    /// Whether a trusted signature covers the settings: then their grants are the signer's.
    pub fn covers_settings(&self) -> bool {
        self.accepted().is_some_and(|accepted| accepted.covered.settings != CoveredSettings::Any)
    }

    /// Compares what the component says of itself with what was signed.
    ///
    /// # Errors
    ///
    /// [`Refusal::OtherName`] or [`Refusal::OtherVersion`].
    pub fn check_declared(&self, plugin: &str, declared: Declared<'_>) -> Result<(), Refusal> {
        let Some(Accepted { covered, .. }) = self.accepted() else { return Ok(()) };
        if covered.name != declared.name {
            return Err(Refusal::OtherName {
                plugin: plugin.to_owned(),
                signed: covered.name.clone(),
                found: format!("it calls itself `{}`", declared.name),
            });
        }
        // Compared as numbers: the text is the signer's and the plugin's own.
        let version = Version::parse(declared.version).ok();
        if version.as_ref() != Some(&covered.version) {
            return Err(Refusal::OtherVersion {
                plugin: plugin.to_owned(),
                signed: covered.version.to_string(),
                declared: declared.version.to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
