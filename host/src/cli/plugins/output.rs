//! What several commands print.

use std::path::Path;

use ops::words::span_ms;
use queue::task::now_ms;
use serde_json::{Value, json};

use crate::archive::ArchivedVersion;
use crate::offline::{Inspection, OfflineHost};

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Inspects one file with the settings beside it.
pub(crate) async fn inspect(host: &OfflineHost, file: &Path) -> anyhow::Result<Inspection> {
    host.inspect(file, &[]).await.map_err(anyhow::Error::msg)
}

/// One line: what the plugin is, or why it is refused.
pub(crate) fn summary(inspection: &Inspection) -> String {
    let file = inspection.path.file_name().unwrap_or_default().to_string_lossy();
    match &inspection.loaded {
        Ok(version) => format!(
            "{file}: {} {} handles {} (sha256 {:.12}, {})",
            version.descriptor.name,
            version.descriptor.version,
            version.type_names(),
            version.digest,
            if version.has_snapshot() { "prepared once" } else { "`init` runs for each task" },
        ),
        Err(_) => format!("{file}: refused: {}", inspection.refusal().join(": ")),
    }
}

/// All that is known about a file, and its archived versions.
pub(crate) fn to_json(inspection: &Inspection, archived: Option<&[ArchivedVersion]>) -> Value {
    let plugin = inspection.loaded.as_ref().ok().map(|version| {
        let types: Vec<Value> = version
            .descriptor
            .task_types
            .iter()
            .map(|described| {
                json!({
                    "name": described.name, "summary": described.summary,
                    "params_schema": described.params_schema,
                })
            })
            .collect();
        json!({
            "name": version.descriptor.name, "version": version.descriptor.version,
            "task_types": types, "commands": version.descriptor.commands,
            "prepared": version.has_snapshot(), "told": version.messages, "data": version.data,
        })
    });
    json!({
        "file": inspection.path, "anatomy": inspection.component, "plugin": plugin,
        "accepted": inspection.loaded.is_ok(), "refusal": inspection.refusal(),
        "warnings": inspection.warnings(), "kept": archived,
    })
}

/// A text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ")
}

/// How long ago a time was.
pub(crate) fn ago(at_ms: u64) -> String {
    format!("{} ago", span_ms(now_ms().saturating_sub(at_ms)))
}
