//! The last good versions of each plugin on disk, for rollbacks, and which versions were rolled back.
//!
//! | path | contents |
//! |---|---|
//! | `FOLDER/NAME/ID/` | the component, its settings and its signature as they were in force, and `about.json` |
//! | `FOLDER/NAME/rejected/ID` | says that the version was rolled back |
//! | `FOLDER/NAME/data/` | the data files that the versions ran with, by digest |
//! | `FOLDER/NAME/accepted.json` | the data files that an operator accepted, however small |
//! | `FOLDER/NAME/trusted.json` | the newest signed version that was accepted ([`crate::trust::memory`]) |
//! | `FOLDER/owners.json` | which plugin had which task type |
//! | `FOLDER/plugin-folder.path` | where the plugins are ([`unused`]) |
//!
//! Each plugin folder has its own `FOLDER`, below the cache of prepared plugins, which belongs to this user alone.
//! Several workers may share it: a version is written under a temporary name and then renamed.
//!
//! Not here: when a version is rolled back ([`crate::plugin::publish::catalog`]) and what a start makes of the archive
//! ([`crate::swap`]).

mod data_copies;
pub(crate) mod files;
mod rejections;
mod unused;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use queue::task::now_ms;
use serde::{Deserialize, Serialize};

use self::data_copies::DataCopies;
pub use self::rejections::Rejection;
use self::rejections::Rejections;
use crate::digest::sha256_hex;
use crate::trust::signature_path;
use crate::version::PluginVersion;
use crate::version::data_file::{AcceptedData, DataFiles};
use crate::version::id::VersionId;

/// Archived versions of each plugin. The one that came into force longest ago is removed first.
pub const MAX_VERSIONS: usize = 5;
/// Enough of a digest to tell plugin folders apart.
const FOLDER_CHARS: usize = 16;
/// Below the cache.
const VERSIONS: &str = "versions";
const ABOUT: &str = "about.json";
const REJECTED: &str = "rejected";
/// Never a plugin's folder: a plugin's name has no dot.
const OWNERS: &str = "owners.json";
const DATA: &str = "data";
const ACCEPTED: &str = "accepted.json";

/// Which plugin file last had which name and task type.
pub(crate) type Owners = BTreeMap<String, String>;

/// `accepted.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Acceptance {
    /// When, in milliseconds since 1970.
    at: u64,
    data: AcceptedData,
}

/// One archived version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedVersion {
    /// Its id.
    pub id: VersionId,
    /// The plugin's own version number.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// When it came into force, in milliseconds since 1970.
    pub since: u64,
    /// Its grants, one line each.
    pub granted: BTreeSet<String>,
    /// Its data files when it was last put in force.
    #[serde(default)]
    pub data: DataFiles,
    /// Set when it was rolled back.
    #[serde(default)]
    pub rejected: Option<Rejection>,
}

/// The archive of one plugin folder.
#[derive(Debug, Clone)]
pub struct VersionArchive {
    folder: PathBuf,
    /// Keeps others from removing it.
    _in_use: Arc<File>,
}

impl VersionArchive {
    /// Opens the archive for the plugins in `plugins`. It is below `cache`, which
    /// [`PreparedCache::open`](crate::plugin::compile::cache::PreparedCache::open) has found to be private.
    ///
    /// # Errors
    ///
    /// When it cannot be created, or there is no such plugin folder.
    pub fn open(cache: &Path, plugins: &Path) -> io::Result<Self> {
        let plugins = fs::canonicalize(plugins)?;
        let digest = sha256_hex(plugins.as_os_str().as_encoded_bytes());
        let name: String = digest.chars().take(FOLDER_CHARS).collect();
        let folder = cache.join(VERSIONS).join(name);
        files::create_folder(&folder)?;
        let in_use = unused::use_for(&folder, &plugins)?;
        Ok(Self { folder, _in_use: Arc::new(in_use) })
    }

    /// Removes the archives below `cache` that nobody has used for a while and whose plugin folders are gone; only some of them,
    /// if there are very many. Returns how many.
    ///
    /// # Errors
    ///
    /// When one cannot be looked at or removed. The others stay as well.
    pub(crate) fn remove_unused(cache: &Path) -> io::Result<usize> {
        unused::remove(&cache.join(VERSIONS))
    }

    /// The folder of the archive, with one folder for each plugin.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The versions of a plugin, newest first. Unreadable ones are left out.
    pub fn versions(&self, plugin: &str) -> Vec<ArchivedVersion> {
        let entries = fs::read_dir(self.folder.join(plugin)).into_iter().flatten();
        let mut versions: Vec<ArchivedVersion> = entries
            .filter_map(|entry| {
                let about = fs::read(entry.ok()?.path().join(ABOUT)).ok()?;
                let archived: ArchivedVersion = serde_json::from_slice(&about).ok()?;
                let rejected = self.rejection(plugin, &archived.id);
                Some(ArchivedVersion { rejected, ..archived })
            })
            .collect();
        versions.sort_by_key(|archived| std::cmp::Reverse(archived.since));
        versions
    }

    /// The path of a version's component. Its settings are beside it.
    pub(crate) fn component(&self, plugin: &str, id: &VersionId) -> PathBuf {
        self.version_folder(plugin, id).join(plugin).with_extension("wasm")
    }

    /// Reads a version's component and settings.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or the component does not match its digest.
    pub fn read(&self, plugin: &str, archived: &ArchivedVersion) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let path = self.component(plugin, &archived.id);
        let component = fs::read(&path)?;
        if sha256_hex(&component) != archived.digest {
            let problem = format!("{} does not match its digest", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok((component, fs::read(path.with_extension("toml"))?))
    }

    /// The signature of a version; none when it has none.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read.
    pub(crate) fn signature(
        &self,
        plugin: &str,
        archived: &ArchivedVersion,
    ) -> io::Result<Option<Vec<u8>>> {
        match fs::read(signature_path(&self.component(plugin, &archived.id))) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The rejection of a version that was rolled back.
    pub fn rejection(&self, plugin: &str, id: &VersionId) -> Option<Rejection> {
        self.rejections(plugin).get(id)
    }

    /// Archives a version that came into force, or notes that it is in force again. When its files have changed since
    /// it was loaded it is not archived: they are about to become a version of their own.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn store(&self, version: &PluginVersion) -> io::Result<()> {
        let plugin = version.name();
        let id = version.id();
        let archived = ArchivedVersion {
            id: id.clone(),
            version: version.descriptor.version.clone(),
            digest: version.digest.clone(),
            since: now_ms(),
            granted: version.granted.clone(),
            data: version.data.clone(),
            rejected: None,
        };
        self.data_copies(plugin).store(&version.data, &version.env.data)?;
        let about = serde_json::to_vec_pretty(&archived)?;
        let folder = self.version_folder(plugin, &id);
        let signature = version.signature.as_ref().map(|signature| signature.text.as_bytes());
        if self.read(plugin, &archived).is_ok() {
            if let Some(signature) = signature {
                files::replace(&signature_path(&self.component(plugin, &id)), signature)?;
            }
            files::replace(&folder.join(ABOUT), &about)?;
            return self.prune_data(plugin);
        }
        let component = fs::read(&version.path)?;
        if sha256_hex(&component) != version.digest {
            return Ok(());
        }
        let temporary = self.folder.join(plugin).join(files::temporary_name());
        files::create_folder(&temporary)?;
        let name = temporary.join(plugin);
        files::write(&name.with_extension("wasm"), &component)?;
        files::write(&name.with_extension("toml"), version.settings_text.as_bytes())?;
        if let Some(signature) = signature {
            files::write(&signature_path(&name.with_extension("wasm")), signature)?;
        }
        files::write(&temporary.join(ABOUT), &about)?;
        // Removes a damaged copy, or one that another worker has just written.
        let _ = fs::remove_dir_all(&folder);
        fs::rename(&temporary, &folder)?;
        self.prune(plugin, &id)
    }

    /// Notes that a version was rolled back.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn reject(
        &self,
        plugin: &str,
        id: &VersionId,
        rejection: Rejection,
    ) -> io::Result<()> {
        self.rejections(plugin).add(id, rejection)
    }

    /// Removes the rejections of a plugin, so that its versions are accepted again. Returns how many there were.
    ///
    /// # Errors
    ///
    /// When they cannot be removed.
    pub fn remove_rejections(&self, plugin: &str) -> io::Result<usize> {
        self.rejections(plugin).clear()
    }

    /// Removes excess versions, rejected ones first. Keeps the newest good version beside `newest`.
    fn prune(&self, plugin: &str, newest: &VersionId) -> io::Result<()> {
        let mut archived = self.versions(plugin);
        archived.retain(|archived| archived.id != *newest);
        while archived.len() >= MAX_VERSIONS {
            let rejected = archived.iter().rposition(|archived| archived.rejected.is_some());
            let removed = archived.remove(rejected.unwrap_or(archived.len() - 1));
            fs::remove_dir_all(self.version_folder(plugin, &removed.id))?;
        }
        self.prune_data(plugin)?;
        files::remove_abandoned(&self.folder.join(plugin), ".")
    }

    /// Removes the data copies that no archived version names.
    fn prune_data(&self, plugin: &str) -> io::Result<()> {
        let archived = self.versions(plugin);
        let used = archived
            .iter()
            .flat_map(|archived| archived.data.values().map(|file| file.digest.as_str()))
            .collect();
        self.data_copies(plugin).prune(&used)
    }

    /// The data files of the version that was last in force.
    pub(crate) fn last_data(&self, plugin: &str) -> DataFiles {
        let good = self.versions(plugin).into_iter().find(|archived| archived.rejected.is_none());
        good.map(|archived| archived.data).unwrap_or_default()
    }

    /// The path of the copy of a data file.
    pub(crate) fn data_copy(&self, plugin: &str, digest: &str) -> PathBuf {
        self.data_copies(plugin).path(digest)
    }

    /// The path of the file that says which data an operator accepted.
    pub(crate) fn acceptance_file(&self, plugin: &str) -> PathBuf {
        self.folder.join(plugin).join(ACCEPTED)
    }

    /// The data files that an operator accepted, however small.
    pub(crate) fn accepted_data(&self, plugin: &str) -> AcceptedData {
        let text = fs::read(self.acceptance_file(plugin)).ok();
        let acceptance: Option<Acceptance> =
            text.and_then(|text| serde_json::from_slice(&text).ok());
        acceptance.map(|acceptance| acceptance.data).unwrap_or_default()
    }

    /// Accepts these data files, however small. Workers notice the written file and check the plugin again.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn accept_data(&self, plugin: &str, data: AcceptedData) -> io::Result<()> {
        files::create_folder(&self.folder.join(plugin))?;
        let acceptance = serde_json::to_vec_pretty(&Acceptance { at: now_ms(), data })?;
        files::replace(&self.acceptance_file(plugin), &acceptance)
    }

    /// The owners that were last stored; empty when they cannot be read.
    pub(crate) fn owners(&self) -> Owners {
        let text = fs::read(self.folder.join(OWNERS)).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Stores which plugin has which name and task type.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn store_owners(&self, owners: &Owners) -> io::Result<()> {
        files::replace(&self.folder.join(OWNERS), &serde_json::to_vec_pretty(owners)?)
    }

    fn version_folder(&self, plugin: &str, id: &VersionId) -> PathBuf {
        self.folder.join(plugin).join(id.as_str())
    }

    fn rejections(&self, plugin: &str) -> Rejections {
        Rejections { folder: self.folder.join(plugin).join(REJECTED) }
    }

    fn data_copies(&self, plugin: &str) -> DataCopies {
        DataCopies { folder: self.folder.join(plugin).join(DATA) }
    }
}
