//! `worker plugins push FILE oci://…`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::folders;
use super::output::{Format, inspect};
use super::signature::read_signature;
use crate::cli::flags::CacheFlag;
use crate::digest::sha256_hex;
use crate::oci;
use crate::oci::address::Address;
use crate::oci::artefact::{Artefact, Description};
use crate::offline::Inspection;
use crate::plugin::load::ComponentInfo;
use crate::plugin_config::PluginConfig;

/// Checks a plugin and stores it in a registry. `FILE.minisig` beside it is stored with it.
#[derive(Debug)]
pub(crate) struct Push {
    /// The component.
    pub(crate) file: PathBuf,
    /// Where to: `oci://registry/name:tag`.
    pub(crate) address: String,
    /// A settings file to store with it.
    pub(crate) settings: Option<PathBuf>,
    /// Stores it although this machine would refuse it, for instance because its data files are elsewhere. It has to be a
    /// component all the same, and `pull` checks again.
    pub(crate) unchecked: bool,
    /// Whether HTTP without TLS is used also for a registry on another machine.
    pub(crate) insecure: bool,
    pub(crate) cache: CacheFlag,
}

impl Push {
    pub(crate) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let address = Address::parse(&self.address, self.insecure)?;
        anyhow::ensure!(
            address.digest().is_none(),
            "a digest follows from what is stored; name a tag instead, as in `oci://host/name:1.2.0`"
        );
        let settings = self.settings.as_deref().map(read_settings).transpose()?;
        let signature = read_signature(&self.file)?;
        let inspection = inspect(&folders::offline_host(&self.cache)?, &self.file).await?;
        let refusal = inspection.refusal();
        let info = inspection.component.as_ref().filter(|_| refusal.is_empty() || self.unchecked);
        let Some(info) = info else {
            let what = format!("{} would be refused, and is not stored:", self.file.display());
            return not_stored(out, format, &what, &refusal);
        };
        let component =
            fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        // The file may have been replaced since it was checked.
        anyhow::ensure!(
            sha256_hex(&component) == info.digest,
            "{} changed while it was checked; try again",
            self.file.display()
        );
        let artefact = Artefact { component, settings, signature };
        let with: Vec<&str> = [
            artefact.settings.is_some().then_some("settings"),
            artefact.signature.is_some().then_some("signature"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let description = description(&address, &inspection, info);
        let digest = match oci::store(&address, artefact, &description).await {
            Ok(digest) => digest,
            Err(error) => {
                let what = format!("{address} is not stored:");
                return not_stored(out, format, &what, &error.causes());
            }
        };
        let pinned = address.pinned(&digest).to_string();
        match format {
            Format::Json => {
                let report =
                    json!({"stored": true, "address": pinned, "digest": digest, "with": with});
                writeln!(out, "{report:#}")?;
            }
            Format::Text => {
                writeln!(out, "stored as {address}")?;
                if !with.is_empty() {
                    writeln!(out, "with its {}", with.join(" and "))?;
                }
                writeln!(out, "{pinned} names exactly this version")?;
            }
        }
        Ok(true)
    }
}

fn not_stored(
    out: &mut impl Write,
    format: Format,
    what: &str,
    refusal: &[String],
) -> anyhow::Result<bool> {
    match format {
        Format::Json => writeln!(out, "{:#}", json!({"stored": false, "refusal": refusal}))?,
        Format::Text => {
            writeln!(out, "{what}")?;
            for reason in refusal {
                writeln!(out, "  {reason}")?;
            }
        }
    }
    Ok(false)
}

fn description(address: &Address, inspection: &Inspection, info: &ComponentInfo) -> Description {
    let declared = inspection.loaded.as_ref().ok().map(|version| &version.descriptor);
    Description {
        name: declared.map(|found| found.name.clone()).unwrap_or_default(),
        version: declared.map(|found| found.version.clone()).unwrap_or_default(),
        file: format!("{}.wasm", address.name()),
        imports: info.imports.clone(),
        exports: info.exports.clone(),
    }
}

fn read_settings(path: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        PluginConfig::parse_swap(&text).is_some(),
        "{} is no settings file of a plugin",
        path.display()
    );
    Ok(text)
}
