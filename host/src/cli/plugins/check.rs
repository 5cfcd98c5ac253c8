//! `worker plugins check`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::output::{Format, inspect, summary};
use super::{clashes, folders};
use crate::cli::flags::{CacheFlag, TrustFlags};

/// Checks whether a worker would accept a plugin with the settings beside it, and says why not; also what in it nobody reads,
/// and what another plugin has already.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The component.
    file: PathBuf,
    /// The folder with the plugins that it is to run beside. Default: the file's own.
    #[arg(long, value_name = "FOLDER")]
    beside: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheFlag,
    #[command(flatten)]
    trust: TrustFlags,
}

impl Check {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let host = folders::offline_host(&self.cache)?.with_trust(self.trust.checked()?);
        let inspection = inspect(&host, &self.file).await?;
        let refusal = inspection.refusal();
        let accepted = refusal.is_empty();
        let mut clashes = Vec::new();
        if let Ok(version) = &inspection.loaded {
            let folder = self.beside.as_deref().unwrap_or_else(|| own_folder(&self.file));
            clashes = clashes::with_folder(&host, version, folder).await?;
        }
        let warnings = inspection.warnings();
        match format {
            Format::Json => writeln!(
                out,
                "{:#}",
                json!({"accepted": accepted, "refusal": refusal, "warnings": warnings, "clashes": clashes})
            )?,
            Format::Text if accepted => {
                writeln!(out, "{}", summary(&inspection))?;
                for warning in warnings {
                    writeln!(out, "warning: {warning}")?;
                }
                for clash in &clashes {
                    writeln!(out, "clash: {clash}")?;
                }
            }
            Format::Text => {
                writeln!(out, "{} would be refused:", self.file.display())?;
                for reason in &refusal {
                    writeln!(out, "  {reason}")?;
                }
            }
        }
        Ok(accepted && clashes.is_empty())
    }
}

fn own_folder(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
