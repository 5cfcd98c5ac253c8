//! A rollback by hand: a kept version's files are put in place again, and running workers take them like any other.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::plugin::load::{hex, is_plugin_name};
use crate::plugin::versions::{KeptVersion, KeptVersions, VersionId};

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
    let mut kept = versions.of(plugin).into_iter();
    let version = match to {
        Some(to) => {
            let called = |kept: &KeptVersion| {
                4 <= to.len() && (kept.id.as_str().starts_with(to) || kept.digest.starts_with(to))
            };
            let unknown =
                || RollbackError::Unknown { plugin: plugin.to_owned(), to: to.to_owned() };
            kept.find(called).ok_or_else(unknown)?
        }
        None => {
            let other = |kept: &KeptVersion| match with_settings {
                true => kept.id != here,
                false => kept.digest != digest,
            };
            let nothing = || RollbackError::Nothing { plugin: plugin.to_owned() };
            kept.find(|kept| kept.rejected.is_none() && other(kept)).ok_or_else(nothing)?
        }
    };
    if version.rejected.is_some() {
        return Err(RollbackError::Rejected { plugin: plugin.to_owned() });
    }
    let component = versions.component(plugin, &version.id);
    let its_settings = fs::read(component.with_extension("toml"))?;
    let other_settings = its_settings != text && !with_settings;
    // Settings first: between the two renames the old component may run with them, never the other way round.
    if with_settings {
        put(&settings, &its_settings)?;
    }
    put(&in_place, &fs::read(&component)?)?;
    Ok(PutBack { version, other_settings })
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Beside, then renamed: a worker never sees half of it.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("part");
    fs::write(&beside, bytes)?;
    fs::rename(beside, path)
}
