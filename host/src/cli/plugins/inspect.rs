//! `worker plugins inspect`.

use std::io::Write;
use std::path::PathBuf;

use super::folders;
use super::output::{self, Format, summary, to_json};
use crate::cli::flags::CacheFlag;
use crate::offline::Inspection;

/// Shows what a plugin is: task types and schemas, imports and exports, size and digest.
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Inspect {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let inspection = output::inspect(&folders::offline_host(&self.cache)?, &self.file).await?;
        match format {
            Format::Json => writeln!(out, "{:#}", to_json(&inspection, None))?,
            Format::Text => write_text(out, &inspection)?,
        }
        Ok(inspection.component.is_some())
    }
}

fn write_text(out: &mut impl Write, inspection: &Inspection) -> anyhow::Result<()> {
    writeln!(out, "{}", summary(inspection))?;
    if let Some(component) = &inspection.component {
        writeln!(out, "\n{} KiB, sha256 {}", component.bytes.div_ceil(1024), component.digest)?;
        for (title, names) in [("imports", &component.imports), ("exports", &component.exports)] {
            writeln!(out, "\n{title}:")?;
            for name in names {
                writeln!(out, "  {name}")?;
            }
        }
    }
    let Ok(version) = &inspection.loaded else { return Ok(()) };
    if !version.warnings.is_empty() {
        writeln!(out, "\nwarnings:")?;
    }
    for line in &version.warnings {
        writeln!(out, "  {line}")?;
    }
    if !version.messages.is_empty() {
        writeln!(out, "\nsaid by `init`:")?;
    }
    for line in &version.messages {
        writeln!(out, "  {line}")?;
    }
    if !version.descriptor.commands.is_empty() {
        writeln!(out, "\nchat commands:")?;
    }
    for command in &version.descriptor.commands {
        writeln!(
            out,
            "  /{} asks for {}: {}",
            command.name, command.task_type, command.description
        )?;
    }
    for described in &version.descriptor.task_types {
        writeln!(out, "\n{}: {}", described.name, described.summary)?;
        writeln!(out, "{:#}", described.params_schema)?;
    }
    Ok(())
}
