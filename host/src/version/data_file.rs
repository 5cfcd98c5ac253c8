//! The data files of a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a version has of one data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Size of the file.
    pub bytes: u64,
    /// Rows that the plugin took of it, as `describe` says after `init`; none when it does not say.
    pub rows: Option<u64>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
}

/// A version's data files, by the names that the plugin uses.
pub type DataFiles = BTreeMap<String, DataFile>;

/// Digests of the data files that an operator accepted, however small, by name.
pub(crate) type AcceptedData = BTreeMap<String, String>;
