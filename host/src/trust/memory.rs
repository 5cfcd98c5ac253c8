//! What was accepted of each plugin, so that an older version or older settings are noticed.
//!
//! One file for each plugin, beside its archived versions, in a folder that belongs to this user alone. Workers that share
//! the folder share it: a file is only ever changed under a lock, and only towards what is newer. Without a folder it is
//! kept in memory, and a restart begins anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::comment::Covered;
use super::remembered::Remembered;
use crate::grants::diff::Access;

/// The file of one plugin.
const FILE: &str = "trusted.json";

/// A file's contents.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: String,
    timestamp: u64,
    #[serde(default)]
    access: Access,
}

/// What was accepted so far.
#[derive(Debug, Default)]
pub struct Memory {
    /// None without an archive.
    folder: Option<PathBuf>,
    /// Also in memory, for a worker without a folder.
    known: Mutex<BTreeMap<String, Remembered>>,
}

impl Memory {
    /// The memory in `folder`, which has one folder for each plugin; none to remember nothing over a restart.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// What was accepted under a plugin's name.
    ///
    /// # Errors
    ///
    /// When its file is there and cannot be read. Taking it for nothing would let an old version in.
    pub fn get(&self, plugin: &str) -> io::Result<Option<Remembered>> {
        let Some(path) = self.path(plugin) else {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(known.get(plugin).cloned());
        };
        read(&path)
    }

    /// Remembers an accepted version. A higher version and a newer signature stay.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn accept(&self, plugin: &str, covered: &Covered, access: &Access) -> io::Result<()> {
        let Some(path) = self.path(plugin) else {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let newer = merge(known.get(plugin), covered, access);
            known.insert(plugin.to_owned(), newer);
            return Ok(());
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("trusted.lock"))?;
        lock.lock()?; // Released when it is dropped.
        let last = read(&path)?;
        let newer = merge(last.as_ref(), covered, access);
        if last.as_ref() == Some(&newer) {
            return Ok(());
        }
        let stored = Stored {
            version: newer.version.to_string(),
            timestamp: newer.timestamp,
            access: newer.access,
        };
        let part = path.with_extension("part");
        fs::write(&part, serde_json::to_vec_pretty(&stored)?)?;
        File::open(&part)?.sync_all()?;
        fs::rename(part, path)
    }

    /// The path of a plugin's file; none without a folder.
    pub(crate) fn path(&self, plugin: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(plugin).join(FILE))
    }
}

fn merge(last: Option<&Remembered>, covered: &Covered, access: &Access) -> Remembered {
    let highest = last
        .map(|last| &last.version)
        .filter(|last| last.cmp_precedence(&covered.version).is_gt())
        .unwrap_or(&covered.version);
    let newest = last.map_or(0, |last| last.timestamp).max(covered.timestamp);
    Remembered { version: highest.clone(), timestamp: newest, access: access.clone() }
}

fn read(path: &Path) -> io::Result<Option<Remembered>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let wrong = |problem: String| {
        let problem = format!(
            "{} says which versions were accepted and cannot be read ({problem}); remove it to begin anew",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, problem)
    };
    let stored: Stored = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let version = Version::parse(&stored.version).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(Remembered { version, timestamp: stored.timestamp, access: stored.access }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::comment::CoveredSettings;

    fn covered(version: &str, timestamp: u64) -> Covered {
        Covered {
            name: "a".to_owned(),
            version: version.parse().unwrap(),
            settings: CoveredSettings::None,
            timestamp,
            rollback_from: None,
        }
    }

    #[test]
    fn the_highest_version_and_the_newest_signature_stay() {
        let place = tempfile::tempdir().unwrap();
        for folder in [None, Some(place.path().to_owned())] {
            let memory = Memory::new(folder.clone());
            assert_eq!(memory.get("a").unwrap(), None);
            memory.accept("a", &covered("2.0.0", 7), &Access::default()).unwrap();
            // A rollback: a lower version with a newer signature.
            memory.accept("a", &covered("1.9.0", 8), &Access::default()).unwrap();
            let last = memory.get("a").unwrap().unwrap();
            assert_eq!((last.version.to_string().as_str(), last.timestamp), ("2.0.0", 8));
            // An older signature: a version that a start took from the archive.
            memory.accept("a", &covered("2.0.0", 3), &Access::default()).unwrap();
            assert_eq!(memory.get("a").unwrap().unwrap().timestamp, 8);
            assert_eq!(memory.get("b").unwrap(), None);
            let after_restart = Memory::new(folder.clone()).get("a").unwrap();
            assert_eq!(after_restart.is_some(), folder.is_some());
        }
    }

    #[test]
    fn what_the_last_accepted_version_may_do_is_the_measure() {
        let place = tempfile::tempdir().unwrap();
        for folder in [None, Some(place.path().to_owned())] {
            let memory = Memory::new(folder);
            let wide = Access { cache: true, ..Access::default() };
            memory.accept("a", &covered("1.0.0", 7), &wide).unwrap();
            memory.accept("a", &covered("1.1.0", 8), &Access::default()).unwrap();
            assert_eq!(memory.get("a").unwrap().unwrap().access, Access::default());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_nothing() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::new(Some(place.path().to_owned()));
        memory.accept("a", &covered("2.0.0", 7), &Access::default()).unwrap();
        fs::write(place.path().join("a").join(FILE), "{").unwrap();
        let error = memory.get("a").unwrap_err();
        assert!(error.to_string().contains("remove it to begin anew"), "{error}");
    }
}
