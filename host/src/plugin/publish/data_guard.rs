//! A swap that would lose most of a plugin's data is not taken: a file that was cut off, emptied, or is read only in
//! part is no new version.
//!
//! What counts is what the plugin says it took ([`DataFact::rows`]), and where it says nothing the bytes of the file.
//! An operator who means it says so with `worker plugins accept`, which notes the very files in place, or with
//! `keep_data_at_least` under `[swap]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::LoadError;
use crate::version::PluginVersion;

/// What a version has of one data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFact {
    /// Size of the file.
    pub bytes: u64,
    /// What the plugin took of it, as it says after `init`; none when it says nothing.
    pub rows: Option<u64>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
}

/// What a version has of each data file, by the name that the plugin uses.
pub type DataFacts = BTreeMap<String, DataFact>;

/// Digests of the data files that an operator takes however few they are.
pub(crate) type Accepted = BTreeMap<String, String>;

/// Refuses a version that has less data than its settings take, compared with the one that it replaces.
pub(crate) fn check(
    version: &PluginVersion,
    former: &DataFacts,
    accepted: &Accepted,
) -> Result<(), LoadError> {
    let share = version.swap.keep_data_at_least;
    for (name, had) in former {
        let Some(has) = version.data.get(name) else {
            continue; // The settings grant it no more, on purpose.
        };
        let (unit, had, now) = match (had.rows, has.rows) {
            (Some(had), Some(now)) => ("rows", had, now),
            _ => ("bytes", had.bytes, has.bytes),
        };
        #[expect(clippy::cast_precision_loss, reason = "below 2^52, or near enough")]
        let lost = (now as f64) < share * (had as f64);
        if lost && accepted.get(name) != Some(&has.digest) {
            return Err(LoadError::DataShrank {
                plugin: version.name().to_owned(),
                data: name.clone(),
                unit,
                had,
                now,
                share,
            });
        }
    }
    Ok(())
}
