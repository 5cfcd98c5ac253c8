//! What was accepted under a plugin's name.

use semver::Version;

use crate::grants::diff::Access;

/// What was accepted under a plugin's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The highest version.
    pub version: Version,
    /// The newest signature's time, in seconds since 1970.
    pub timestamp: u64,
    /// What the last accepted version may do.
    pub access: Access,
}
