//! Flags that several commands share.

use std::path::PathBuf;

/// Where prepared plugins and good versions are stored between starts.
#[derive(Debug, clap::Args)]
pub(crate) struct CacheFlag {
    /// Folder for prepared plugins, for a quick start, and for the last good versions, for rollbacks. It is created for
    /// this user alone. `none` for no such folder. Default: `freefans-workers` in the user's cache folder.
    #[arg(long, env = "PLUGIN_CACHE")]
    plugin_cache: Option<PathBuf>,
}

impl CacheFlag {
    pub(super) fn folder(&self) -> Option<PathBuf> {
        match &self.plugin_cache {
            Some(none) if none.as_os_str() == "none" => None,
            Some(folder) => Some(folder.clone()),
            None => default_cache(),
        }
    }
}

/// A folder in the user's cache folder, after the XDG Base Directory Specification.
fn default_cache() -> Option<PathBuf> {
    let absolute =
        |variable| std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("freefans-workers"))
}

/// A label on the command line.
pub(crate) fn label(text: &str) -> Result<String, String> {
    if queue::fleet::is_label(text) {
        return Ok(text.to_owned());
    }
    Err("a label takes 1 to 64 letters, digits and `-_.=/`".to_owned())
}
