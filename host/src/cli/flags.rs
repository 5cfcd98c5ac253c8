//! Flags that several commands share.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;

use crate::trust::Policy;
use crate::trust::key::TrustedKey;

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

/// The keys whose signatures are trusted.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustedKeys {
    /// Trusts plugins that this minisign key has signed: its public half in one line, or a file with it. May be given
    /// several times, and in the variable separated by commas. Default: no key, and no signature is looked at.
    #[arg(long, env = "TRUST", value_name = "KEY", value_delimiter = ',')]
    trust: Vec<String>,
}

impl TrustedKeys {
    /// The keys. The error says what is wrong with each that cannot be used.
    pub(super) fn read(&self) -> Result<Vec<TrustedKey>, Vec<String>> {
        let mut keys = Vec::new();
        let mut problems = Vec::new();
        for text in self.trust.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            match TrustedKey::read(text) {
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(format!("--trust (TRUST): {problem}")),
            }
        }
        if problems.is_empty() { Ok(keys) } else { Err(problems) }
    }
}

/// Which signatures of plugins are trusted, and whether they are required.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustFlags {
    #[command(flatten)]
    keys: TrustedKeys,
    /// Refuses plugins that no trusted key has signed. Without it a plugin needs no signature, and one that is there must
    /// be right.
    #[arg(long, env = "REQUIRE_SIGNATURES", value_parser = BoolishValueParser::new())]
    require_signatures: bool,
}

impl TrustFlags {
    /// As [`TrustFlags::policy`], for a command.
    pub(super) fn checked(&self) -> anyhow::Result<Policy> {
        self.policy().map_err(|problems| anyhow::anyhow!(problems.join("; ")))
    }

    /// The policy. The error says what is wrong, one line for each problem.
    pub(super) fn policy(&self) -> Result<Policy, Vec<String>> {
        let keys = self.keys.read()?;
        if self.require_signatures && keys.is_empty() {
            let problem = "--require-signatures (REQUIRE_SIGNATURES) needs a trusted key: name one with --trust (TRUST), for \
                           otherwise every plugin is refused";
            return Err(vec![problem.to_owned()]);
        }
        Ok(Policy::new(keys, self.require_signatures))
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
