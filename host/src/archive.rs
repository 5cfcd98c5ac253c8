//! The last good versions of each plugin on disk: what a rollback goes back to, and which versions were rolled back.
//!
//! `FOLDER/NAME/ID/` holds the component and its settings as they were in force, and `about.json`;
//! `FOLDER/NAME/rejected/ID` says that the version was rolled back; `FOLDER/NAME/data/` holds the data files they ran
//! with, by their digests, and `FOLDER/NAME/accepted.json` says which data is taken however little it is.
//! `FOLDER/owners.json` says whose which task type was. `FOLDER` stands for one plugin folder: two of them never share
//! what is called alike. All lies in the folder of prepared plugins, which belongs to this user alone. Several workers
//! may share it: a version is written beside and renamed, and a rejection is a file of its own, which outlives what it
//! rejects.
//!
//! Not here: when a version goes back ([`crate::plugin::publish::catalog`]) and what a start makes of these ([`crate::swap`]).

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use queue::task::now_ms;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plugin::load::hex;
use crate::plugin::publish::data_guard::{Accepted, DataFacts};
use crate::plugin::publish::ownership::Owners;
use crate::version::PluginVersion;

/// Versions kept of each plugin; the one that came into force longest ago goes first.
pub const KEEP_VERSIONS: usize = 5;
/// Enough of a digest to name a version among five.
const ID_CHARS: usize = 16;
const ABOUT: &str = "about.json";
const REJECTED: &str = "rejected";
/// No plugin's folder: a plugin's name has no dot.
const OWNERS: &str = "owners.json";
const DATA: &str = "data";
const ACCEPTED: &str = "accepted.json";
/// Data that no version names for longer than this is of no use.
const UNUSED_AFTER: Duration = Duration::from_secs(60);
/// Rejections remembered of each plugin.
const KEEP_REJECTIONS: usize = 64;
/// What was being written for longer than this was left by a worker that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// What an operator has accepted.
#[derive(Debug, Serialize, Deserialize)]
struct Acceptance {
    /// When, in milliseconds since 1970.
    at: u64,
    data: Accepted,
}

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
    /// What it had of its data when it was last put in force.
    #[serde(default)]
    pub data: DataFacts,
    /// Set when it was rolled back.
    #[serde(default)]
    pub rejected: Option<Rejection>,
}

/// A folder of versions.
#[derive(Debug, Clone)]
pub struct KeptVersions {
    folder: PathBuf,
}

impl KeptVersions {
    /// The versions of the plugins in `plugins`, below a folder that
    /// [`PreparedCache::open`](crate::plugin::compile::cache::PreparedCache::open) has found to be ours.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or there is no such plugin folder.
    pub fn open(cache: &Path, plugins: &Path) -> io::Result<Self> {
        let of = Sha256::digest(fs::canonicalize(plugins)?.as_os_str().as_encoded_bytes());
        let of: String = hex(&of).chars().take(ID_CHARS).collect();
        let folder = cache.join("versions").join(of);
        make(&folder)?;
        Ok(Self { folder })
    }

    /// The versions of a plugin, newest first. What cannot be read is left out.
    pub fn of(&self, plugin: &str) -> Vec<KeptVersion> {
        let entries = fs::read_dir(self.folder.join(plugin)).into_iter().flatten();
        let mut versions: Vec<KeptVersion> = entries
            .filter_map(|entry| {
                let about = fs::read(entry.ok()?.path().join(ABOUT)).ok()?;
                let kept: KeptVersion = serde_json::from_slice(&about).ok()?;
                let rejected = self.rejection(plugin, &kept.id);
                Some(KeptVersion { rejected, ..kept })
            })
            .collect();
        versions.sort_by_key(|kept: &KeptVersion| std::cmp::Reverse(kept.since));
        versions
    }

    /// Where a version's component is; its settings lie beside it.
    pub(crate) fn component(&self, plugin: &str, id: &VersionId) -> PathBuf {
        self.place(plugin, id).join(plugin).with_extension("wasm")
    }

    /// A version's component and settings, when they are what was kept.
    ///
    /// # Errors
    ///
    /// When they cannot be read or are not.
    pub fn read(&self, plugin: &str, kept: &KeptVersion) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let path = self.component(plugin, &kept.id);
        let component = fs::read(&path)?;
        if hex(&Sha256::digest(&component)) != kept.digest {
            let problem = format!("{} is not what was kept", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok((component, fs::read(path.with_extension("toml"))?))
    }

    /// The rejection of a version, when it was rolled back. One that cannot be read is one all the same.
    pub fn rejection(&self, plugin: &str, id: &VersionId) -> Option<Rejection> {
        let unknown = Rejection { at: 0, failed: 0, ended: 0 };
        match fs::read(self.rejections(plugin).join(id.as_str())) {
            Ok(text) => Some(serde_json::from_slice(&text).unwrap_or(unknown)),
            Err(error) => (error.kind() != io::ErrorKind::NotFound).then_some(unknown),
        }
    }

    /// Keeps a version that came into force, from its files, or notes that it is in force again. Files that are others
    /// by now are not kept: they are about to be a version of their own.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn keep(&self, version: &PluginVersion) -> io::Result<()> {
        let (plugin, id) = (version.name(), version.id());
        let about = KeptVersion {
            id: id.clone(),
            version: version.descriptor.version.clone(),
            digest: version.digest.clone(),
            since: now_ms(),
            granted: version.granted.clone(),
            data: version.data.clone(),
            rejected: None,
        };
        self.keep_data(version)?;
        let about_json = serde_json::to_vec_pretty(&about)?;
        let place = self.place(plugin, &id);
        if self.read(plugin, &about).is_ok() {
            replace(&place.join(ABOUT), &about_json)?;
            return self.prune_data(plugin);
        }
        let component = fs::read(&version.path)?;
        if hex(&Sha256::digest(&component)) != version.digest {
            return Ok(());
        }
        let beside = self.folder.join(plugin).join(beside());
        make(&beside)?;
        let name = beside.join(plugin);
        write(&name.with_extension("wasm"), &component)?;
        write(&name.with_extension("toml"), version.settings.as_bytes())?;
        write(&beside.join(ABOUT), &about_json)?;
        // Of what is damaged nothing stays; of what another worker has just kept there is no need for a second.
        let _ = fs::remove_dir_all(&place);
        fs::rename(&beside, &place)?;
        self.prune(plugin, &id)
    }

    /// Remembers that a version was rolled back.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn reject(&self, plugin: &str, id: &VersionId, why: Rejection) -> io::Result<()> {
        let folder = self.rejections(plugin);
        make(&folder)?;
        replace(&folder.join(id.as_str()), &serde_json::to_vec(&why)?)?;
        let mut files = entries(&folder)?;
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(KEEP_REJECTIONS)) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Forgets that versions of a plugin were rolled back; they are taken again. Says how many.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn accept_again(&self, plugin: &str) -> io::Result<usize> {
        let files = match entries(&self.rejections(plugin)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            files => files?,
        };
        for (_, path) in &files {
            fs::remove_file(path)?;
        }
        Ok(files.len())
    }

    /// Removes what is too many: rejected ones first, never the newest good one beside the one that has just come.
    fn prune(&self, plugin: &str, newest: &VersionId) -> io::Result<()> {
        let mut kept = self.of(plugin);
        kept.retain(|kept| kept.id != *newest);
        while KEEP_VERSIONS <= kept.len() {
            let rejected = kept.iter().rposition(|kept| kept.rejected.is_some());
            let gone = kept.remove(rejected.unwrap_or(kept.len() - 1));
            fs::remove_dir_all(self.place(plugin, &gone.id))?;
        }
        self.prune_data(plugin)?;
        for (written, path) in entries(&self.folder.join(plugin))? {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            let old = written.elapsed().is_ok_and(|since| ABANDONED_AFTER < since);
            if name.starts_with(b".") && old {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }

    /// What the version had of its data that was last in force.
    pub(crate) fn former_data(&self, plugin: &str) -> DataFacts {
        let good = self.of(plugin).into_iter().find(|kept| kept.rejected.is_none());
        good.map(|kept| kept.data).unwrap_or_default()
    }

    /// Where a copy of a data file is.
    pub(crate) fn data(&self, plugin: &str, digest: &str) -> PathBuf {
        self.folder.join(plugin).join(DATA).join(digest)
    }

    /// Keeps the data of a version, so that a start has it when the file in place cannot be used.
    fn keep_data(&self, version: &PluginVersion) -> io::Result<()> {
        for (name, fact) in &version.data {
            let path = self.data(version.name(), &fact.digest);
            let there = fs::metadata(&path).is_ok_and(|found| found.len() == fact.bytes);
            if let (false, Some(bytes)) = (there, version.around.data.get(name)) {
                make(path.parent().unwrap_or(&self.folder))?;
                replace(&path, bytes)?;
            }
        }
        Ok(())
    }

    /// Removes data that no kept version had, unless another worker may be about to say that one has it.
    fn prune_data(&self, plugin: &str) -> io::Result<()> {
        let kept = self.of(plugin);
        let used: BTreeSet<&str> = kept
            .iter()
            .flat_map(|kept| kept.data.values().map(|fact| fact.digest.as_str()))
            .collect();
        let files = match entries(&self.folder.join(plugin).join(DATA)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        for (written, path) in files {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !used.contains(&*name) && written.elapsed().is_ok_and(|since| UNUSED_AFTER < since) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Where it is noted which data an operator takes.
    pub(crate) fn acceptance(&self, plugin: &str) -> PathBuf {
        self.folder.join(plugin).join(ACCEPTED)
    }

    /// Which data an operator takes however little it is.
    pub(crate) fn accepted(&self, plugin: &str) -> Accepted {
        let noted = fs::read(self.acceptance(plugin)).ok();
        let noted: Option<Acceptance> = noted.and_then(|text| serde_json::from_slice(&text).ok());
        noted.map(|noted| noted.data).unwrap_or_default()
    }

    /// Notes that these data files are taken however little they are, and lets workers look at the plugin at once.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn accept_data(&self, plugin: &str, data: Accepted) -> io::Result<()> {
        make(&self.folder.join(plugin))?;
        let noted = serde_json::to_vec_pretty(&Acceptance { at: now_ms(), data })?;
        replace(&self.acceptance(plugin), &noted)
    }

    /// Which plugin had which name and task type when they were last noted; empty when that cannot be read.
    pub(crate) fn owners(&self) -> Owners {
        let noted = fs::read(self.folder.join(OWNERS)).ok();
        noted.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Remembers which plugin has which name and task type.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn note_owners(&self, owners: &Owners) -> io::Result<()> {
        replace(&self.folder.join(OWNERS), &serde_json::to_vec_pretty(owners)?)
    }

    fn place(&self, plugin: &str, id: &VersionId) -> PathBuf {
        self.folder.join(plugin).join(id.as_str())
    }

    fn rejections(&self, plugin: &str) -> PathBuf {
        self.folder.join(plugin).join(REJECTED)
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A name for what is not whole yet.
fn beside() -> String {
    format!(".{}", uuid::Uuid::new_v4().simple())
}

/// Writes a file and waits until the disk has it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a file in place whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_file_name(beside());
    write(&part, bytes)?;
    fs::rename(part, path)
}

fn entries(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.metadata()?.modified()?, entry.path()))
        })
        .collect()
}
