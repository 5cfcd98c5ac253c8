//! The plugin folder, and the folder with the cache and the archive.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::archive::VersionArchive;
use crate::cli::flags::CacheFlag;
use crate::config::Ceilings;
use crate::diagnosis::Diagnosis;
use crate::offline::OfflineHost;
use crate::plugin::compile::cache::PreparedCache;
use crate::swap::files;

/// The name of the section with lines of the source (DWARF).
const DEBUG_INFO: &[u8] = b".debug_info";

/// The components in a folder, sorted by name.
pub(crate) fn components(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    files::components(folder).with_context(|| {
        format!("cannot read the plugin folder {}; name another", folder.display())
    })
}

/// A host that uses the cache of the workers here, so that it does not compile what they have compiled, nor they what it
/// has. Without a usable folder it compiles.
pub(crate) fn offline_host(flag: &CacheFlag) -> anyhow::Result<OfflineHost> {
    Ok(OfflineHost::new()?.with_cache(cache(flag)))
}

/// As [`offline_host`], for the author of `file`: backtraces name lines of the source if the component knows them.
pub(crate) fn author_host(
    flag: &CacheFlag,
    file: &Path,
    diagnosis: &Arc<Diagnosis>,
) -> anyhow::Result<OfflineHost> {
    // A file that cannot be read or is too large is refused later.
    let mut component = Vec::new();
    if let Ok(opened) = std::fs::File::open(file) {
        let _ = opened.take(Ceilings::default().component_bytes).read_to_end(&mut component);
    }
    let lines = component.windows(DEBUG_INFO.len()).any(|part| part == DEBUG_INFO);
    Ok(OfflineHost::for_author(lines, diagnosis)?.with_cache(cache(flag)))
}

/// The cache of the workers here; none without a usable folder.
fn cache(flag: &CacheFlag) -> Option<PreparedCache> {
    flag.folder().and_then(|folder| {
        PreparedCache::open(&folder)
            .inspect_err(|error| {
                tracing::warn!(folder = %folder.display(), error = %error, "no plugin cache: compiling each time");
            })
            .ok()
    })
}

/// Opens the cache, and the archive for the plugins in `plugins`. Creates the folder if needed.
pub(crate) fn open(
    flag: &CacheFlag,
    plugins: &Path,
) -> anyhow::Result<(PreparedCache, VersionArchive)> {
    let folder = flag
        .folder()
        .context("nothing is stored without a folder; name one with --plugin-cache")?;
    let cache = PreparedCache::open(&folder)
        .with_context(|| format!("cannot use the folder {}", folder.display()))?;
    let archive = VersionArchive::open(&folder, plugins).with_context(|| {
        format!("cannot use {} for the plugins in {}", folder.display(), plugins.display())
    })?;
    Ok((cache, archive))
}

/// As [`open`], without creating the folder; none when it does not exist.
pub(crate) fn open_existing(
    flag: &CacheFlag,
    plugins: &Path,
) -> anyhow::Result<Option<(PreparedCache, VersionArchive)>> {
    match flag.folder() {
        Some(folder) if folder.is_dir() => open(flag, plugins).map(Some),
        _ => Ok(None),
    }
}
