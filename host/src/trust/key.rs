//! Public keys that are trusted.

use std::fmt;
use std::path::Path;

use minisign_verify::PublicKey;

/// A minisign public key.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Its id in hex, as minisign prints it.
    pub id: String,
    pub(super) key: PublicKey,
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrustedKey").field(&self.id).finish()
    }
}

impl TrustedKey {
    /// Reads a public key in one line, as `minisign -G` prints it, or the path of a file with one.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        if let Some(key) = Self::parse(text) {
            return Ok(key);
        }
        let path = Path::new(text);
        let file = std::fs::read_to_string(path).map_err(|error| {
            format!("`{text}` is no minisign public key, and cannot be read as a file: {error}")
        })?;
        let line = file.lines().map(str::trim).rfind(|line| !line.is_empty());
        Self::parse(line.unwrap_or_default())
            .ok_or_else(|| format!("{} holds no minisign public key", path.display()))
    }

    /// A public key in one line.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let key = PublicKey::from_base64(line).ok()?;
        // The first crate does not tell the id, and the second has checked less.
        let id = id(minisign::PublicKey::from_base64(line).ok()?.keynum());
        Some(Self { id, key })
    }
}

/// The id of the key that made a signature; none when it cannot be read. It is for messages only.
pub(super) fn id_of_signature(text: &str) -> Option<String> {
    minisign::SignatureBox::from_string(text).ok().map(|signature| id(signature.keynum()))
}

/// As minisign prints it: the bytes are a number, the lowest first.
fn id(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}
