//! Which version of a plugin it is.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// Enough of a digest to tell the few archived versions of a plugin apart.
const ID_CHARS: usize = 16;

/// Identifies a component together with its settings. Data files belong to the operator and have no part in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(String);

impl VersionId {
    /// From the SHA-256 of the component, in hex, and the text of the settings.
    pub(crate) fn new(digest: &str, settings: &str) -> Self {
        let mut both = Sha256::new();
        both.update(digest);
        both.update(settings);
        Self(hex(&both.finalize()).chars().take(ID_CHARS).collect())
    }

    /// As `worker plugins list` shows it and `rollback --to` takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
