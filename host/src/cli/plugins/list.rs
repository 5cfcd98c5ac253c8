//! `worker plugins list`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use super::output::{Format, ago, inspect, summary, to_json};
use super::{clashes, folders};
use crate::archive::{ArchivedVersion, VersionArchive};
use crate::cli::flags::{CacheFlag, TrustFlags};
use crate::offline::{Inspection, OfflineHost};
use crate::plugin::publish::catalog::PluginCatalog;
use crate::plugin::publish::ownership;
use crate::version::name::stem;

/// Shows every plugin in a folder: what a worker would make of it, and which versions are kept.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The folder.
    #[arg(default_value = "./plugins", env = "PLUGINS")]
    folder: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
    #[command(flatten)]
    trust: TrustFlags,
}

impl List {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let files = folders::components(&self.folder)?;
        let (cache, archive) = folders::open_existing(&self.cache, &self.folder)?.unzip();
        let host = OfflineHost::new()?.with_cache(cache).with_archive(archive.clone());
        let host = host.with_trust(self.trust.checked()?);
        let mut inspections = Vec::new();
        for file in files {
            inspections.push(inspect(&host, &file).await?);
        }
        refuse_conflicts(&mut inspections, archive.as_ref());
        let clashes: Vec<Vec<String>> =
            inspections.iter().map(|inspection| clashes_of(inspection, &inspections)).collect();
        let mut rows = Vec::new();
        for (inspection, clashes) in inspections.iter().zip(&clashes) {
            let name = stem(&inspection.path);
            let archived = archive.as_ref().map(|archive| archive.versions(&name));
            let archived = archived.unwrap_or_default();
            match format {
                Format::Json => {
                    let mut row = to_json(inspection, Some(&archived));
                    if let Value::Object(members) = &mut row {
                        members.insert("clashes".to_owned(), clashes.as_slice().into());
                    }
                    rows.push(row);
                }
                Format::Text => {
                    writeln!(out, "{}", summary(inspection))?;
                    for warning in inspection.warnings() {
                        writeln!(out, "  warning: {warning}")?;
                    }
                    for clash in clashes {
                        writeln!(out, "  clash: {clash}")?;
                    }
                    write_archived(out, &archived)?;
                }
            }
        }
        if format == Format::Json {
            writeln!(out, "{:#}", Value::Array(rows))?;
        }
        Ok(inspections.iter().all(|inspection| inspection.loaded.is_ok())
            && clashes.iter().all(Vec::is_empty))
    }
}

/// The commands of a plugin that others in the folder bring too.
fn clashes_of(inspection: &Inspection, all: &[Inspection]) -> Vec<String> {
    let Ok(version) = &inspection.loaded else { return Vec::new() };
    let others = all.iter().filter_map(|other| other.loaded.as_ref().ok());
    let others = others.filter(|other| other.name() != version.name());
    others.flat_map(|other| clashes::of_commands(version, other)).collect()
}

/// Of several files with the same name or task type a worker loads only one.
fn refuse_conflicts(inspections: &mut [Inspection], archive: Option<&VersionArchive>) {
    let loaded = inspections.iter().filter_map(|inspection| inspection.loaded.as_ref().ok());
    let mut loaded: Vec<_> = loaded.cloned().collect();
    let owners = archive.map(VersionArchive::owners).unwrap_or_default();
    ownership::sort_by_priority(&mut loaded, &owners);
    let catalog = PluginCatalog::default();
    for version in loaded {
        let path = version.path.clone();
        if let Err(error) = catalog.publish(version)
            && let Some(refused) = inspections.iter_mut().find(|found| found.path == path)
        {
            refused.loaded = Err(error);
        }
    }
}

/// The archived versions of a plugin, below its line.
fn write_archived(out: &mut impl Write, archived: &[ArchivedVersion]) -> std::io::Result<()> {
    for version in archived {
        write!(
            out,
            "  kept {}: {} (sha256 {:.12}), in force since {}",
            version.id.as_str(),
            version.version,
            version.digest,
            ago(version.since)
        )?;
        match version.rejected {
            None => writeln!(out)?,
            Some(rejection) => writeln!(
                out,
                "; rolled back {}: {} of its first {} tasks failed",
                ago(rejection.at),
                rejection.failed,
                rejection.ended
            )?,
        }
    }
    Ok(())
}
