//! The last good versions of each plugin on disk: what a rollback goes back to, and which versions were rolled back.
//!
//! `NAME/ID/` holds the component and its settings as they were in force, and `about.json`. It lies in the folder of
//! prepared plugins, which belongs to this user alone. Several workers may share it: a version is written beside and
//! renamed.
//!
//! Not here: when a version goes back ([`crate::catalog`]) and what a start makes of these ([`crate::swap`]).

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use queue::task::now_ms;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PluginVersion;
use super::load::hex;

/// Versions kept of each plugin; the one that came into force longest ago goes first.
pub const KEEP_VERSIONS: usize = 5;
/// Enough of a digest to name a version among five.
const ID_CHARS: usize = 16;
const ABOUT: &str = "about.json";

/// Which version this is: its component and its settings. Data files are the operator's and have no part in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(String);

impl VersionId {
    /// From the SHA-256 of the component, in hex, and the text of the settings.
    pub(crate) fn new(digest: &str, settings: &str) -> Self {
        let mut both = Sha256::new();
        both.update(digest);
        both.update(settings);
        Self(hex(&both.finalize()).chars().take(ID_CHARS).collect())
    }

    /// As it is shown and typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a version is not taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// When it was rolled back, in milliseconds since 1970.
    pub at: u64,
    /// How many of its first tasks failed,
    pub failed: u32,
    /// of how many.
    pub ended: u32,
}

/// One version on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVersion {
    /// Which it is.
    pub id: VersionId,
    /// What the plugin calls it.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// When it came into force, in milliseconds since 1970.
    pub since: u64,
    /// What it was granted; see [`PluginVersion::granted`].
    pub granted: BTreeSet<String>,
    /// Set when it was rolled back.
    pub rejected: Option<Rejection>,
}

/// A folder of versions.
#[derive(Debug, Clone)]
pub struct KeptVersions {
    folder: PathBuf,
}

impl KeptVersions {
    /// The versions below a folder that [`PreparedCache::open`](super::cache::PreparedCache::open) has found to be ours.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn open(cache: &Path) -> io::Result<Self> {
        let folder = cache.join("versions");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// The versions of a plugin, newest first. What cannot be read is left out.
    pub fn of(&self, plugin: &str) -> Vec<KeptVersion> {
        let entries = fs::read_dir(self.folder.join(plugin)).into_iter().flatten();
        let mut versions: Vec<KeptVersion> = entries
            .filter_map(|entry| {
                let about = fs::read(entry.ok()?.path().join(ABOUT)).ok()?;
                serde_json::from_slice(&about).ok()
            })
            .collect();
        versions.sort_by_key(|kept: &KeptVersion| std::cmp::Reverse(kept.since));
        versions
    }

    /// Where a version's component is; its settings lie beside it.
    pub fn component(&self, plugin: &str, id: &VersionId) -> PathBuf {
        self.place(plugin, id).join(plugin).with_extension("wasm")
    }

    /// The rejection of a version, when it was rolled back.
    pub(crate) fn rejection(&self, plugin: &str, id: &VersionId) -> Option<Rejection> {
        self.of(plugin).into_iter().find(|kept| kept.id == *id)?.rejected
    }

    /// Keeps a version that came into force, from its files. Files that are others by now are not kept: they are about
    /// to be a version of their own.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn keep(&self, version: &PluginVersion) -> io::Result<()> {
        let (plugin, id) = (version.name(), version.id());
        let mut about = KeptVersion {
            id: id.clone(),
            version: version.descriptor.version.clone(),
            digest: version.digest.clone(),
            since: now_ms(),
            granted: version.granted.clone(),
            rejected: None,
        };
        if self.place(plugin, &id).join(ABOUT).is_file() {
            about.rejected = self.rejection(plugin, &id);
            return self.write_about(plugin, &about);
        }
        let component = fs::read(&version.path)?;
        if hex(&Sha256::digest(&component)) != version.digest {
            return Ok(());
        }
        let place = self.place(plugin, &id);
        DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        fs::write(place.join(plugin).with_extension("wasm"), component)?;
        fs::write(place.join(plugin).with_extension("toml"), &version.settings)?;
        // Last: a version without it is half written, and not there.
        self.write_about(plugin, &about)?;
        self.prune(plugin, &id)
    }

    /// Remembers that a version was rolled back; nothing when it is not kept.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn reject(&self, plugin: &str, id: &VersionId, why: Rejection) -> io::Result<()> {
        self.set_rejected(plugin, |kept| kept.id == *id, Some(why)).map(drop)
    }

    /// Forgets that versions of a plugin were rolled back; they are taken again. Says how many.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn accept_again(&self, plugin: &str) -> io::Result<usize> {
        self.set_rejected(plugin, |kept| kept.rejected.is_some(), None)
    }

    fn set_rejected(
        &self,
        plugin: &str,
        which: impl Fn(&KeptVersion) -> bool,
        rejected: Option<Rejection>,
    ) -> io::Result<usize> {
        let mut changed = 0;
        for kept in self.of(plugin).into_iter().filter(which) {
            self.write_about(plugin, &KeptVersion { rejected, ..kept })?;
            changed += 1;
        }
        Ok(changed)
    }

    fn write_about(&self, plugin: &str, about: &KeptVersion) -> io::Result<()> {
        let place = self.place(plugin, &about.id);
        let beside = place.join(format!(".{}.part", uuid::Uuid::new_v4().simple()));
        fs::write(&beside, serde_json::to_vec_pretty(about)?)?;
        fs::rename(beside, place.join(ABOUT))
    }

    fn prune(&self, plugin: &str, newest: &VersionId) -> io::Result<()> {
        let versions = self.of(plugin);
        for kept in versions.iter().skip(KEEP_VERSIONS).filter(|kept| kept.id != *newest) {
            fs::remove_dir_all(self.place(plugin, &kept.id))?;
        }
        Ok(())
    }

    fn place(&self, plugin: &str, id: &VersionId) -> PathBuf {
        self.folder.join(plugin).join(id.as_str())
    }
}
