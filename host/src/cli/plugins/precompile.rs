//! `worker plugins precompile`.

use std::io::Write;
use std::path::PathBuf;

use super::folders;
use super::output::{inspect, summary};
use crate::cli::flags::CacheFlag;
use crate::offline::OfflineHost;

/// Prepares every plugin in a folder, so that a starting worker neither compiles nor runs `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Precompile {
    /// The folder.
    #[arg(default_value = "./plugins", env = "PLUGINS")]
    folder: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Precompile {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let files = folders::components(&self.folder)?;
        let (cache, _) = folders::open(&self.cache, &self.folder)?;
        let host = OfflineHost::new()?.with_cache(Some(cache));
        let mut all_loaded = true;
        for file in files {
            let inspection = inspect(&host, &file).await?;
            all_loaded &= inspection.loaded.is_ok();
            writeln!(out, "{} in {:.2?}", summary(&inspection), inspection.load_time)?;
        }
        Ok(all_loaded)
    }
}
