//! What a worker knows of the fleet, on its own disk.
//!
//! | path | contents |
//! |---|---|
//! | `CACHE/fleet/ID/plugins/` | components and settings in place: a plugin folder |
//! | `CACHE/fleet/ID/known.json` | the records that were read, removals included, and which are in place |
//! | `CACHE/fleet/artefacts/` | components by their SHA-256, for every worker of this machine |
//!
//! Workers with the same `ID` share their folder. A lock orders them, and the one that has read less goes by what the other
//! has written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use queue::fleet::{Entry, Revision};
use serde::{Deserialize, Serialize};

use crate::archive::files;
use crate::digest::sha256_hex;
use crate::trust::signature_path;

/// Components kept on this machine. The one that was used longest ago is removed first.
const MAX_ARTEFACTS: usize = 100;
/// Enough of a digest to tell folders apart.
const FOLDER_CHARS: usize = 16;
const KNOWN: &str = "known.json";
/// An incomplete file older than this was left by a worker that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// What was read of the fleet's state, and what was made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The revision of the records.
    pub(super) seen: Option<Revision>,
    pub(super) entries: BTreeMap<String, Entry>,
    /// The records whose component and settings are in place.
    pub(super) placed: BTreeMap<String, Entry>,
}

impl Known {
    /// Whether `other` was read after this one.
    fn is_behind(&self, other: &Self) -> bool {
        match (&self.seen, &other.seen) {
            (Some(mine), Some(other)) => mine.era == other.era && mine.number < other.number,
            _ => false,
        }
    }
}

/// The folders of one worker.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
    artefacts: PathBuf,
}

impl Store {
    /// Opens the folder `name` below the plugin cache.
    pub(super) fn open(cache: &Path, name: &str) -> io::Result<Self> {
        let fleet = cache.join("fleet");
        let store = Self { folder: fleet.join(name), artefacts: fleet.join("artefacts") };
        files::create_folder(&store.plugins())?;
        files::create_folder(&store.artefacts)?;
        for folder in [&store.plugins(), &store.artefacts, &store.folder] {
            let _ = remove_abandoned(folder); // The next start removes it.
        }
        Ok(store)
    }

    /// A word for the folder, another one on each machine.
    pub(super) fn identity(&self, host: &str) -> String {
        let folder = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        short(&format!("{host}\n{}", folder.display()))
    }

    /// The plugin folder.
    pub(super) fn plugins(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    /// The component of a plugin in the plugin folder.
    pub(super) fn component(&self, plugin: &str) -> PathBuf {
        self.plugins().join(plugin).with_extension("wasm")
    }

    /// Runs `work` while no other worker changes the folder.
    pub(super) fn locked<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let lock = File::options().create(true).append(true).open(self.folder.join("lock"))?;
        lock.lock()?;
        work()
    }

    /// What was stored last; nothing when it cannot be read.
    pub(super) fn load(&self) -> Known {
        let text = fs::read(self.folder.join(KNOWN)).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// What is known by this worker and by those that share its folder. Which records are in place is only on the disk.
    pub(super) fn together(&self, known: Known) -> Known {
        let stored = self.load();
        if known.is_behind(&stored) {
            return stored;
        }
        Known { placed: stored.placed, ..known }
    }

    /// Stores what is known.
    pub(super) fn save(&self, known: &Known) -> io::Result<()> {
        if self.load() == *known {
            return Ok(());
        }
        files::replace(&self.folder.join(KNOWN), &serde_json::to_vec(known)?)
    }

    /// A component; none when this machine does not have it, or it is damaged.
    pub(super) fn artefact(&self, digest: &str) -> Option<Vec<u8>> {
        let path = self.artefacts.join(digest);
        let bytes = fs::read(&path).ok()?;
        if sha256_hex(&bytes) != digest {
            let _ = fs::remove_file(path); // It is fetched again.
            return None;
        }
        Some(bytes)
    }

    pub(super) fn has_artefact(&self, digest: &str) -> bool {
        self.artefacts.join(digest).is_file()
    }

    /// Keeps a component whose digest was compared.
    pub(super) fn keep_artefact(&self, digest: &str, component: &[u8]) -> io::Result<()> {
        files::replace(&self.artefacts.join(digest), component)?;
        // Fails when another worker renames a file meanwhile; the next component removes what is too much.
        if let Ok(mut kept) = files::entries(&self.artefacts) {
            kept.sort();
            for (_, path) in kept.iter().take(kept.len().saturating_sub(MAX_ARTEFACTS)) {
                remove(path)?;
            }
        }
        Ok(())
    }

    /// Puts a component in place: settings and signature first, so that the component never runs with others.
    pub(super) fn place(&self, entry: &Entry, component: &[u8], settings: &str) -> io::Result<()> {
        let path = self.component(&entry.name);
        let signature = signature_path(&path);
        let temporary = path.with_file_name(files::temporary_name());
        files::write(&temporary, component)?;
        files::replace(&path.with_extension("toml"), settings.as_bytes())?;
        match &entry.record.signature {
            Some(text) => files::replace(&signature, text.as_bytes())?,
            None => remove(&signature)?,
        }
        fs::rename(temporary, path)?;
        // Used now, for the order in which components are removed.
        if let Ok(kept) = File::open(self.artefacts.join(&entry.record.digest)) {
            let _ = kept.set_modified(SystemTime::now()); // Only the order would differ.
        }
        Ok(())
    }

    /// Replaces the settings of a component in place, when they differ.
    pub(super) fn place_settings(&self, plugin: &str, settings: &str) -> io::Result<()> {
        let path = self.component(plugin).with_extension("toml");
        if fs::read(&path).ok().as_deref() != Some(settings.as_bytes()) {
            files::replace(&path, settings.as_bytes())?;
        }
        Ok(())
    }

    /// Removes a plugin from the plugin folder.
    pub(super) fn remove(&self, plugin: &str) -> io::Result<()> {
        let path = self.component(plugin);
        remove(&path)?;
        remove(&path.with_extension("toml"))?;
        remove(&signature_path(&path))
    }
}

/// Removes what a worker that died has not written to the end.
fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for (written, path) in files::entries(folder)? {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let is_old = written.elapsed().is_ok_and(|age| age > ABANDONED_AFTER);
        if name.starts_with(b".") && is_old {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name of the folder for what a worker knows of the fleet. Another Redis has another fleet, and workers with other
/// labels or another plugin folder run other plugins of it.
pub(super) fn folder_name(redis_url: &str, plugins: &Path, labels: &[String]) -> String {
    let mut labels = labels.to_vec();
    labels.sort();
    let identity =
        format!("{}\n{}\n{}", without_login(redis_url), plugins.display(), labels.join(","));
    short(&identity)
}

fn short(identity: &str) -> String {
    sha256_hex(identity.as_bytes()).chars().take(FOLDER_CHARS).collect()
}

/// An address without user and password: those change.
fn without_login(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(authority..).unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    let hosts = rest.get(..end).unwrap_or_default().rfind('@').map_or(0, |at| at + 1);
    rest.get(hosts..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_password_is_the_same_fleet_and_another_server_is_not() {
        let name = |url, labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
            folder_name(url, Path::new("/p"), &labels)
        };
        let first = name("redis://worker:one@db:6379/0", &["a", "b"]);
        assert_eq!(name("redis://worker:t@o@db:6379/0", &["b", "a"]), first);
        assert_ne!(name("redis://worker:one@db:6380/0", &["a", "b"]), first);
        assert_ne!(name("redis://worker:one@db:6379/1", &["a", "b"]), first);
        assert_ne!(name("redis://worker:one@db:6379/0", &["a"]), first);
    }
}
