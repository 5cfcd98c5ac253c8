//! `worker plugins rollback`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::folders;
use super::output::Format;
use crate::cli::flags::CacheFlag;
use crate::swap::rollback;

/// Puts the last good version of a plugin in place again.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// The plugin: its file's name without `.wasm`.
    plugin: String,
    /// The version, by its id or digest as `list` shows them. Default: the last good one before the one in place.
    #[arg(long)]
    to: Option<String>,
    /// Restores the settings that it ran with. By default the settings in place stay.
    #[arg(long)]
    with_settings: bool,
    /// The folder.
    #[arg(long, default_value = "./plugins", env = "PLUGINS")]
    plugins: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Rollback {
    pub(super) fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let (_, archive) = folders::open(&self.cache, &self.plugins)?;
        let plugin = self.plugin.as_str();
        let to = self.to.as_deref();
        let rollback::Rollback { version, other_settings, signed } =
            rollback::roll_back(&archive, &self.plugins, plugin, to, self.with_settings)?;
        if format == Format::Json {
            writeln!(
                out,
                "{:#}",
                json!({"in_place": version, "other_settings": other_settings, "signed": signed})
            )?;
            return Ok(true);
        }
        writeln!(
            out,
            "{plugin}: {} (sha256 {:.12}) is in place again; running workers load it within seconds",
            version.version, version.digest
        )?;
        if other_settings {
            writeln!(
                out,
                "the settings in place differ from those it ran with; --with-settings restores those too"
            )?;
        }
        if signed {
            writeln!(
                out,
                "workers that check signatures take it when it is signed as a rollback: worker plugins sign {} --key KEYFILE \
                 --rollback-from VERSION",
                self.plugins.join(plugin).with_extension("wasm").display()
            )?;
        }
        Ok(true)
    }
}
