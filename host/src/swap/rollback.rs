//! A rollback by an operator: an archived version's files are put in place again. Workers notice them like any change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::{ArchivedVersion, VersionArchive};
use crate::digest::sha256_hex;
use crate::plugin_config::PluginConfig;
use crate::trust::signature_path;
use crate::version::id::VersionId;
use crate::version::name::is_plugin_name;

/// Shortest prefix that names a version.
const MIN_PREFIX_CHARS: usize = 4;

/// Why a rollback was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// Not a valid plugin name.
    #[error("`{0}` is not a plugin's name, which is the file's name without `.wasm`")]
    Name(String),
    /// The archive holds no other good version.
    #[error("no other good version of `{plugin}` is archived; `worker plugins list` shows all")]
    Nothing {
        /// The plugin's name.
        plugin: String,
    },
    /// No archived version has this id or digest.
    #[error(
        "no archived version of `{plugin}` has the id or digest `{to}`; `worker plugins list` shows all"
    )]
    Unknown {
        /// The plugin's name.
        plugin: String,
        /// The id or digest that was asked for.
        to: String,
    },
    /// Workers would refuse the version, because it was rolled back.
    #[error(
        "this version of `{plugin}` was rolled back; run `worker plugins accept {plugin}` first to try it once more"
    )]
    Rejected {
        /// The plugin's name.
        plugin: String,
    },
    /// Workers would refuse the version, because the settings in place pin another one.
    #[error(
        "the settings in place pin another component; change `digest` under `[swap]` in {plugin}.toml, or add --with-settings"
    )]
    Pinned {
        /// The plugin's name.
        plugin: String,
    },
    /// The files cannot be read or written.
    #[error("cannot replace the files")]
    Files(#[from] io::Error),
}

/// A completed rollback.
#[derive(Debug)]
pub struct Rollback {
    /// The version that is in place again.
    pub version: ArchivedVersion,
    /// Whether the settings in place differ from those it ran with.
    pub other_settings: bool,
    /// Whether it or the version that was in place is signed: a worker that checks signatures takes it only when it is
    /// signed as a rollback.
    pub signed: bool,
}

/// Puts an archived version of `plugin` back into `folder`: the one whose id or digest begins with `to`, or the newest
/// good one with another component than the one in place. The settings in place stay unless `with_settings` is set.
///
/// # Errors
///
/// [`RollbackError`]. Nothing is changed then.
pub fn roll_back(
    archive: &VersionArchive,
    folder: &Path,
    plugin: &str,
    to: Option<&str>,
    with_settings: bool,
) -> Result<Rollback, RollbackError> {
    if !is_plugin_name(plugin) {
        return Err(RollbackError::Name(plugin.to_owned()));
    }
    let in_place = folder.join(plugin).with_extension("wasm");
    let settings = in_place.with_extension("toml");
    let digest = read(&in_place)?.map(|component| sha256_hex(&component));
    let digest = digest.unwrap_or_default();
    let text = read(&settings)?.unwrap_or_default();
    let id_in_place = VersionId::new(&digest, &String::from_utf8_lossy(&text));
    let archived = archive.versions(plugin);
    let is_wanted = |archived: &&ArchivedVersion| match to {
        Some(to) => {
            let matches = archived.id.as_str().starts_with(to) || archived.digest.starts_with(to);
            to.len() >= MIN_PREFIX_CHARS && matches
        }
        None if with_settings => archived.id != id_in_place,
        None => archived.digest != digest,
    };
    let good = archived.iter().filter(is_wanted).find(|archived| archived.rejected.is_none());
    let Some(version) = good.cloned() else {
        let plugin = plugin.to_owned();
        return Err(match (archived.iter().any(|archived| is_wanted(&archived)), to) {
            (true, _) => RollbackError::Rejected { plugin },
            (false, Some(to)) => RollbackError::Unknown { plugin, to: to.to_owned() },
            (false, None) => RollbackError::Nothing { plugin },
        });
    };
    let (component, its_settings) = archive.read(plugin, &version)?;
    let its_signature = archive.signature(plugin, &version)?;
    let signature = signature_path(&in_place);
    let other_settings = its_settings != text && !with_settings;
    let new_settings = if with_settings { &its_settings } else { &text };
    let new_settings = String::from_utf8_lossy(new_settings);
    let new_id = VersionId::new(&version.digest, &new_settings);
    if archive.rejection(plugin, &new_id).is_some() {
        return Err(RollbackError::Rejected { plugin: plugin.to_owned() });
    }
    let swap = PluginConfig::parse_swap(&new_settings).unwrap_or_default();
    if !swap.accepts(&version.digest) {
        return Err(RollbackError::Pinned { plugin: plugin.to_owned() });
    }
    // Both files are written before one is replaced: a full disk then changes nothing.
    let component = write_temporary(&in_place, &component)?;
    let its_settings =
        with_settings.then(|| write_temporary(&settings, &its_settings)).transpose()?;
    let was_signed = signature.exists();
    let signed = was_signed || its_signature.is_some();
    let its_signature = its_signature.map(|text| write_temporary(&signature, &text)).transpose()?;
    if let Some(part) = its_settings {
        fs::rename(part, &settings)?;
    }
    match its_signature {
        Some(part) => fs::rename(part, &signature)?,
        // It is for another component.
        None if was_signed => fs::remove_file(&signature)?,
        None => {}
    }
    fs::rename(component, &in_place)?;
    Ok(Rollback { version, other_settings, signed })
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a temporary file in the same folder, to be renamed to `path`. A worker never sees a partly written file.
fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let part =
        path.with_extension(format!("{}.part", path.extension().unwrap_or_default().display()));
    fs::write(&part, bytes)?;
    Ok(part)
}
