//! Archives that nobody uses any more.
//!
//! An archive has a file with the path of its plugin folder. Who uses the archive holds a lock on that file, and its time is that
//! of the last use. An archive without the file was written by an older version.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::archive::files;

/// The path of the plugin folder. Never a plugin's folder: a plugin's name has no dot.
const PLUGIN_FOLDER: &str = "plugin-folder.path";
/// An archive whose plugin folder is gone is kept for so long after its last use: the disk with the folder may come back.
const GONE_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// One that does not say where its plugin folder is: a worker of an older version may still use it.
const UNKNOWN_KEPT: Duration = Duration::from_secs(180 * 24 * 3_600);
/// Most archives that one start removes. A removal takes about a millisecond; the next start goes on.
const REMOVED_AT_ONCE: usize = 1_000;

/// Notes that the archive in `folder` belongs to `plugins`, and is in use for as long as the returned file is open.
pub(super) fn use_for(folder: &Path, plugins: &Path) -> io::Result<File> {
    let path = folder.join(PLUGIN_FOLDER);
    let mut note = File::options().create(true).append(true).open(&path)?;
    // Without locks on this file system nothing here is removed either.
    let _ = note.lock_shared();
    if note.metadata()?.len() == 0 {
        note.write_all(plugins.as_os_str().as_bytes())?;
    }
    note.set_modified(SystemTime::now())?;
    Ok(note)
}

/// Removes archives below `versions` that have been without use and without a plugin folder for long. Returns how many.
pub(super) fn remove(versions: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for (modified, folder) in files::entries(versions)? {
        if removed == REMOVED_AT_ONCE {
            break;
        }
        removed += usize::from(remove_unused(&folder, modified)?);
    }
    Ok(removed)
}

/// Removes an archive unless it is in use, or may be used again. `modified` is the time of its folder.
fn remove_unused(folder: &Path, modified: SystemTime) -> io::Result<bool> {
    let path = folder.join(PLUGIN_FOLDER);
    let note = match File::open(&path) {
        Ok(note) => Some(note),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let unused = match &note {
        // Held until the archive is removed.
        Some(note) => {
            note.try_lock().is_ok()
                && is_older(note.metadata()?.modified()?, GONE_KEPT)
                && is_gone(Path::new(OsStr::from_bytes(&fs::read(&path)?)))
        }
        None => is_older(newest(folder, modified)?, UNKNOWN_KEPT),
    };
    if unused {
        fs::remove_dir_all(folder)?;
    }
    Ok(unused)
}

fn is_gone(plugins: &Path) -> bool {
    fs::metadata(plugins).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn is_older(time: SystemTime, age: Duration) -> bool {
    time.elapsed().is_ok_and(|elapsed| elapsed > age)
}

/// The newest time in an archive: a plugin's folder changes when a version comes into force.
fn newest(folder: &Path, modified: SystemTime) -> io::Result<SystemTime> {
    let inside = files::entries(folder)?.into_iter().map(|(modified, _)| modified);
    Ok(inside.fold(modified, SystemTime::max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::VersionArchive;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn age(path: &Path, days: u32) {
        File::open(path).unwrap().set_modified(SystemTime::now() - DAY * days).unwrap();
    }

    /// An archive that was last used some days ago, and whether the start of another worker leaves it.
    #[track_caller]
    fn check(days: u32, prepare: impl FnOnce(&Path, &Path), kept: bool) {
        let place = tempfile::tempdir().unwrap();
        let cache = place.path().join("cache");
        let [old, new] = ["old", "new"].map(|name| place.path().join(name));
        fs::create_dir(&old).unwrap();
        fs::create_dir(&new).unwrap();
        let archive = VersionArchive::open(&cache, &old).unwrap().folder().to_owned();
        fs::create_dir(archive.join("search")).unwrap();
        prepare(&old, &archive);
        for path in [archive.join("search"), archive.join(PLUGIN_FOLDER), archive.clone()] {
            if path.exists() {
                age(&path, days);
            }
        }
        let own = VersionArchive::open(&cache, &new).unwrap();
        let removed = VersionArchive::remove_unused(&cache).unwrap();
        assert_eq!((removed, archive.exists()), (usize::from(!kept), kept));
        assert!(own.folder().exists());
    }

    #[test]
    fn an_archive_goes_some_days_after_its_plugin_folder() {
        check(8, |plugins, _| fs::remove_dir(plugins).unwrap(), false);
        check(6, |plugins, _| fs::remove_dir(plugins).unwrap(), true);
        check(800, |_, _| {}, true);
    }

    #[test]
    fn an_archive_of_an_older_version_goes_when_it_was_long_without_change() {
        check(181, |_, archive| fs::remove_file(archive.join(PLUGIN_FOLDER)).unwrap(), false);
        check(179, |_, archive| fs::remove_file(archive.join(PLUGIN_FOLDER)).unwrap(), true);
    }

    #[test]
    fn an_archive_that_a_worker_uses_stays() {
        let mut used = None;
        let cache = |archive: &Path| archive.ancestors().nth(2).unwrap().to_owned();
        check(
            8,
            |plugins, archive| {
                used = Some(VersionArchive::open(&cache(archive), plugins).unwrap());
                fs::remove_dir(plugins).unwrap();
            },
            true,
        );
        drop(used);
    }
}
