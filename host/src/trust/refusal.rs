//! Why a signature, or a plugin without one, is refused.

use crate::grants::diff::Wider;

/// Why a plugin is not trusted. Each has a sentence (what was found, and what to do) and a code of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has no signature, and one is required.
    #[error(
        "plugin `{plugin}` is not signed, and this worker takes signed plugins only; put {plugin}.wasm.minisig beside it \
         (`worker plugins sign {plugin}.wasm` makes it)"
    )]
    Unsigned {
        /// The plugin's name.
        plugin: String,
    },
    /// The signature cannot be read, or does not say what it covers.
    #[error(
        "the signature {plugin}.wasm.minisig cannot be used: {problem}; sign the plugin again with `worker plugins sign`"
    )]
    Unreadable {
        /// The plugin's name.
        plugin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that is not trusted has signed it.
    #[error(
        "plugin `{plugin}` is signed with the key {key_id}, which is not trusted here (trusted: {trusted}); sign it with a \
         trusted key, or add the key's public half with --trust"
    )]
    ForeignKey {
        /// The plugin's name.
        plugin: String,
        /// The id of the key that has signed, in hex.
        key_id: String,
        /// The ids of the trusted keys.
        trusted: String,
    },
    /// The bytes are not those that were signed.
    #[error(
        "plugin `{plugin}` does not match its signature by the key {key_id}: {plugin}.wasm or {plugin}.wasm.minisig was \
         changed after it was signed; put both in place again as they were signed"
    )]
    Altered {
        /// The plugin's name.
        plugin: String,
        /// The id of the key, in hex.
        key_id: String,
    },
    /// The settings are not those that were signed.
    #[error(
        "the settings of plugin `{plugin}` are not those that were signed: {found}; put the signed {plugin}.toml in place, \
         or sign the plugin again with these"
    )]
    AlteredSettings {
        /// The plugin's name.
        plugin: String,
        /// What was signed and what is there.
        found: String,
    },
    /// The signature is for a plugin with another name.
    #[error(
        "plugin `{plugin}` has a signature for the plugin `{signed}`, and {found}; a signature is good for one name only"
    )]
    OtherName {
        /// The plugin's name.
        plugin: String,
        /// The name that was signed.
        signed: String,
        /// Which name it has instead.
        found: String,
    },
    /// The signature is for another version.
    #[error(
        "plugin `{plugin}` is signed as version {signed}, and calls itself {declared}; sign it again with \
         `worker plugins sign`, which reads the version from the component"
    )]
    OtherVersion {
        /// The plugin's name.
        plugin: String,
        /// The version that was signed.
        signed: String,
        /// The version that it declares.
        declared: String,
    },
    /// It is older than what was accepted before.
    #[error("plugin `{plugin}` {found}; {remedy}")]
    Downgrade {
        /// The plugin's name.
        plugin: String,
        /// What is older than what.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// Its settings ask for more than those of the version before, and its signature does not cover them.
    #[error(
        "plugin `{plugin}` asks for more than the version before it, and its signature does not cover its settings: {}; sign \
         the plugin together with {plugin}.toml to allow it",
        sentences(.wider)
    )]
    WiderGrants {
        /// The plugin's name.
        plugin: String,
        /// What it asks for.
        wider: Vec<Wider>,
    },
}

fn sentences(wider: &[Wider]) -> String {
    wider.iter().map(|one| format!("it {one}")).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// Stable code for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "signature-missing",
            Self::Unreadable { .. } => "signature-unreadable",
            Self::ForeignKey { .. } => "signature-foreign-key",
            Self::Altered { .. } => "signature-altered",
            Self::AlteredSettings { .. } => "signature-altered-settings",
            Self::OtherName { .. } => "signature-other-name",
            Self::OtherVersion { .. } => "signature-other-version",
            Self::Downgrade { .. } => "signature-downgrade",
            Self::WiderGrants { .. } => "wider-grants",
        }
    }
}
