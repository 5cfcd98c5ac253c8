//! `worker plugins check`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::folders;
use super::output::{Format, inspect, summary};
use crate::cli::flags::{CacheFlag, TrustFlags};

/// Checks whether a worker would accept a plugin with the settings beside it, and says why not.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The component.
    file: PathBuf,
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
        match format {
            Format::Json => {
                writeln!(out, "{:#}", json!({"accepted": accepted, "refusal": refusal}))?;
            }
            Format::Text if accepted => writeln!(out, "{}", summary(&inspection))?,
            Format::Text => {
                writeln!(out, "{} would be refused:", self.file.display())?;
                for reason in &refusal {
                    writeln!(out, "  {reason}")?;
                }
            }
        }
        Ok(accepted)
    }
}
