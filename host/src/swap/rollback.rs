//! A rollback by hand: a kept version's files are put in place again, and running workers take them like any other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::archive::{KeptVersion, KeptVersions, VersionId};
use crate::plugin::load::{hex, is_plugin_name};
use crate::plugin_config::PluginConfig;

/// Why nothing was put in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// No such plugin can be.
    #[error("`{0}` is no plugin's name; it is the file's name without `.wasm`")]
    Name(String),
    /// There is nothing to go back to.
    #[error(
        "no good version of `{plugin}` is kept but the one in place; `worker plugins list` shows what is kept"
    )]
    Nothing {
        /// The plugin's name.
        plugin: String,
    },
    /// No kept version is called so.
    #[error(
        "no kept version of `{plugin}` is called `{to}`; `worker plugins list` shows what is kept"
    )]
    Unknown {
        /// The plugin's name.
        plugin: String,
        /// What was asked for.
        to: String,
    },
    /// Workers would refuse it.
    #[error(
        "this version of `{plugin}` was rolled back; run `worker plugins accept {plugin}` first to try it once more"
    )]
    Rejected {
        /// The plugin's name.
        plugin: String,
    },
    /// Workers would refuse it.
    #[error(
        "the settings in place pin another component; change `digest` under `[swap]` in {plugin}.toml, or add --with-settings"
    )]
    Pinned {
        /// The plugin's name.
        plugin: String,
    },
    /// The files cannot be read or written.
    #[error("cannot put the files in place")]
    Files(#[from] io::Error),
}

/// What is in place again.
#[derive(Debug)]
pub struct PutBack {
    /// The version.
    pub version: KeptVersion,
    /// Whether the settings in place are others than those it ran with.
    pub other_settings: bool,
}

/// Puts a kept version of `plugin` back into `folder`: the one whose id or digest begins with `to`, or the newest good
/// one whose component is not the one in place. The settings in place stay unless `with_settings`.
///
/// # Errors
///
/// [`RollbackError`]; nothing is changed then.
pub fn roll_back(
    versions: &KeptVersions,
    folder: &Path,
    plugin: &str,
    to: Option<&str>,
    with_settings: bool,
) -> Result<PutBack, RollbackError> {
    if !is_plugin_name(plugin) {
        return Err(RollbackError::Name(plugin.to_owned()));
    }
    let in_place = folder.join(plugin).with_extension("wasm");
    let settings = in_place.with_extension("toml");
    let digest = read(&in_place)?.map(|component| hex(&Sha256::digest(component)));
    let digest = digest.unwrap_or_default();
    let text = read(&settings)?.unwrap_or_default();
    let here = VersionId::new(&digest, &String::from_utf8_lossy(&text));
    let kept = versions.of(plugin);
    let wanted = |kept: &&KeptVersion| match to {
        Some(to) => {
            4 <= to.len() && (kept.id.as_str().starts_with(to) || kept.digest.starts_with(to))
        }
        None if with_settings => kept.id != here,
        None => kept.digest != digest,
    };
    let good = kept.iter().filter(wanted).find(|kept| kept.rejected.is_none());
    let Some(version) = good.cloned() else {
        let plugin = plugin.to_owned();
        return Err(match (kept.iter().any(|kept| wanted(&kept)), to) {
            (true, _) => RollbackError::Rejected { plugin },
            (false, Some(to)) => RollbackError::Unknown { plugin, to: to.to_owned() },
            (false, None) => RollbackError::Nothing { plugin },
        });
    };
    let (component, its_settings) = versions.read(plugin, &version)?;
    let other_settings = its_settings != text && !with_settings;
    let then = if with_settings { &its_settings } else { &text };
    let then = String::from_utf8_lossy(then);
    if versions.rejection(plugin, &VersionId::new(&version.digest, &then)).is_some() {
        return Err(RollbackError::Rejected { plugin: plugin.to_owned() });
    }
    let pins = PluginConfig::parse_swap(&then).unwrap_or_default();
    if !pins.takes(&version.digest) {
        return Err(RollbackError::Pinned { plugin: plugin.to_owned() });
    }
    // All that can fail for want of room comes before anything is put in place.
    let put_component = beside(&in_place, &component)?;
    let put_settings = with_settings.then(|| beside(&settings, &its_settings)).transpose()?;
    if let Some(part) = put_settings {
        fs::rename(part, &settings)?;
    }
    fs::rename(put_component, &in_place)?;
    Ok(PutBack { version, other_settings })
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Written beside its place, to be renamed: a worker never sees half of it.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let part =
        path.with_extension(format!("{}.part", path.extension().unwrap_or_default().display()));
    fs::write(&part, bytes)?;
    Ok(part)
}
