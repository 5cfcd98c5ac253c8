//! Copies of the data files that archived versions ran with, named by their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::files;
use crate::version::data_file::DataFiles;

/// Copies that no archived version names are removed after this. Sooner, another worker may be about to archive a
/// version that names them.
const UNUSED_AFTER: Duration = Duration::from_secs(60);

/// The folder with the copies of one plugin.
pub(super) struct DataCopies {
    pub(super) folder: PathBuf,
}

impl DataCopies {
    pub(super) fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(digest)
    }

    pub(super) fn store(
        &self,
        data: &DataFiles,
        contents: &BTreeMap<String, Bytes>,
    ) -> io::Result<()> {
        for (name, file) in data {
            let path = self.path(&file.digest);
            let is_stored = fs::metadata(&path).is_ok_and(|found| found.len() == file.bytes);
            if let (false, Some(bytes)) = (is_stored, contents.get(name)) {
                files::create_folder(&self.folder)?;
                files::replace(&path, bytes)?;
            }
        }
        Ok(())
    }

    /// Removes old copies whose digest is not in `used`.
    pub(super) fn prune(&self, used: &BTreeSet<&str>) -> io::Result<()> {
        for (written, path) in files::entries(&self.folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_old = written.elapsed().is_ok_and(|age| age > UNUSED_AFTER);
            if is_old && !used.contains(&*name) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
