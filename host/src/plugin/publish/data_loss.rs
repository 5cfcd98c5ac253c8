//! Refuses a version that would lose most of a plugin's data: its data file was truncated, emptied, or can be read only
//! in part.
//!
//! Counted are the rows that the plugin says it took ([`DataFile::rows`](crate::version::data_file::DataFile::rows)), or
//! the bytes of the file when it does not say. An operator who wants the loss runs `worker plugins accept`, which accepts
//! exactly the files in place, or sets `keep_data_at_least` under `[swap]`.

use crate::error::LoadError;
use crate::version::PluginVersion;
use crate::version::data_file::{AcceptedData, DataFiles};

/// Compares the data of `version` with the `former` data of the same plugin.
pub(crate) fn check(
    version: &PluginVersion,
    former: &DataFiles,
    accepted: &AcceptedData,
) -> Result<(), LoadError> {
    let share = version.swap.keep_data_at_least;
    for (name, old) in former {
        let Some(new) = version.data.get(name) else {
            continue; // The operator has removed the grant.
        };
        let (unit, had, now) = match (old.rows, new.rows) {
            (Some(had), Some(now)) => ("rows", had, now),
            _ => ("bytes", old.bytes, new.bytes),
        };
        #[expect(clippy::cast_precision_loss, reason = "below 2^52, or near enough")]
        let is_loss = (now as f64) < share * (had as f64);
        if is_loss && accepted.get(name) != Some(&new.digest) {
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
