//! Private folders, and files that are written whole.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a process has not finished writing after so long was left by one that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// Creates a folder, and those above it, for this user alone.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A name for a file or folder that is still being written. It begins with a dot.
pub(crate) fn temporary_name() -> String {
    format!(".{}", uuid::Uuid::new_v4().simple())
}

/// Writes a file and waits until it is on disk.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Replaces a file in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_file_name(temporary_name());
    write(&temporary, bytes)?;
    fs::rename(temporary, path)
}

/// The entries of a folder with their times of modification. Empty when there is no folder.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.metadata()?.modified()?, entry.path()))
        })
        .collect()
}

/// Removes the folders in `folder` that processes which died have left: their names begin with `prefix`.
pub(crate) fn remove_abandoned(folder: &Path, prefix: &str) -> io::Result<()> {
    for (written, path) in entries(folder)? {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let is_old = written.elapsed().is_ok_and(|age| age > ABANDONED_AFTER);
        if name.starts_with(prefix.as_bytes()) && is_old && path.is_dir() {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_goes_after_an_hour_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, minutes) in [(".pull-1", 61), (".pull-2", 59), ("search", 61)] {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            let written = now - Duration::from_secs(minutes * 60);
            File::open(folder).unwrap().set_modified(written).unwrap();
        }
        remove_abandoned(place.path(), ".pull-").unwrap();
        let left = [".pull-1", ".pull-2", "search"].map(|name| place.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
