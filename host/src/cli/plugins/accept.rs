//! `worker plugins accept`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::folders;
use crate::cli::flags::CacheFlag;
use crate::config::Ceilings;
use crate::digest::hex;
use crate::plugin_config::PluginConfig;
use crate::swap::files;
use crate::swap::rollback::RollbackError;
use crate::version::name::is_plugin_name;

/// Accepts a plugin again: its rolled-back versions are tried once more, and its data files are taken as they are now,
/// however small.
#[derive(Debug, clap::Args)]
pub(super) struct Accept {
    /// The plugin: its file's name without `.wasm`.
    plugin: String,
    /// The folder.
    #[arg(long, default_value = "./plugins", env = "PLUGINS")]
    plugins: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Accept {
    pub(super) fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let (_, archive) = folders::open(&self.cache, &self.plugins)?;
        let plugin = self.plugin.as_str();
        anyhow::ensure!(is_plugin_name(plugin), RollbackError::Name(plugin.to_owned()));
        let rejections =
            archive.remove_rejections(plugin).context("cannot write to the archive")?;
        let component = self.plugins.join(plugin).with_extension("wasm");
        let config = PluginConfig::for_component(&component, &Ceilings::default())?;
        let mut accepted = BTreeMap::new();
        for (name, file) in &config.data {
            let digest = files::digest(file);
            let digest = digest.with_context(|| format!("cannot read {}", file.display()))?;
            accepted.insert(name.clone(), hex(&digest));
        }
        let last = archive.last_data(plugin);
        let is_other_data = accepted
            .iter()
            .any(|(name, digest)| last.get(name).is_some_and(|file| file.digest != *digest));
        archive.accept_data(plugin, accepted).context("cannot write to the archive")?;
        if is_other_data {
            writeln!(
                out,
                "the data files of {plugin} are accepted as they are now; running workers load them within seconds"
            )?;
        }
        if rejections > 0 {
            writeln!(out, "{plugin} is accepted again; running workers try it within seconds")?;
        }
        if !is_other_data && rejections == 0 {
            writeln!(
                out,
                "nothing to accept: no version of {plugin} was rolled back, and its data is the same as in force"
            )?;
        }
        Ok(is_other_data || rejections > 0)
    }
}
