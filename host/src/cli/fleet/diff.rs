//! `worker fleet diff`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ops::flags::RedisFlags;
use queue::fleet::{Entry, Fleet};

use super::common::connect;
use super::stored;
use crate::cli::plugins::output::one_line;
use crate::digest::sha256_hex;

/// Shows how a file differs from what the fleet runs: size, imports and settings. Without a file: how what it runs differs
/// from the version before.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The plugin: its file's name without `.wasm`.
    plugin: String,
    /// The component to compare.
    file: Option<PathBuf>,
    /// The settings to compare. Default: those that the fleet has.
    #[arg(long, requires = "file")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    redis: RedisFlags,
}

/// One side of the comparison.
struct Side {
    name: String,
    digest: String,
    bytes: u64,
    imports: BTreeSet<String>,
    settings: BTreeSet<String>,
}

impl Diff {
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<bool> {
        let fleet = connect(&self.redis).await?;
        let entry = fleet.state().await?.entries.remove(&self.plugin);
        let entry = entry.filter(|entry| !entry.record.removed);
        let entry = entry.with_context(|| format!("the fleet has no `{}`", self.plugin))?;
        let (old, new) = match &self.file {
            Some(file) => (pushed(&fleet, &entry).await?, self.file(file, &entry).await?),
            None => {
                let history = fleet.history(&self.plugin).await?;
                let earlier = history.iter().find(|earlier| {
                    !earlier.record.removed && earlier.record.digest != entry.record.digest
                });
                let earlier = earlier.context("the history has no other version")?;
                (pushed(&fleet, earlier).await?, pushed(&fleet, &entry).await?)
            }
        };
        writeln!(out, "from {} (sha256 {:.12}, {} bytes)", old.name, old.digest, old.bytes)?;
        writeln!(out, "to   {} (sha256 {:.12}, {} bytes)", new.name, new.digest, new.bytes)?;
        lines(out, "imports", &old.imports, &new.imports)?;
        lines(out, "settings", &old.settings, &new.settings)?;
        Ok(true)
    }

    async fn file(&self, file: &Path, entry: &Entry) -> anyhow::Result<Side> {
        let component =
            fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let settings = match &self.settings {
            Some(path) => fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
            None => entry.record.settings.clone(),
        };
        side(file.display().to_string(), &component, &settings).await
    }
}

/// A version that was pushed.
async fn pushed(fleet: &Fleet, entry: &Entry) -> anyhow::Result<Side> {
    let record = &entry.record;
    let component = stored::component(fleet, record).await?;
    side(one_line(&record.version), &component, &record.settings).await
}

async fn side(name: String, component: &[u8], settings: &str) -> anyhow::Result<Side> {
    let lines = settings.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(Side {
        name,
        digest: sha256_hex(component),
        bytes: component.len() as u64,
        imports: stored::imports(component).await?.into_iter().flatten().collect(),
        settings: lines.map(one_line).collect(),
    })
}

/// What is only in one of two sets.
fn lines(
    out: &mut impl Write,
    title: &str,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
) -> std::io::Result<()> {
    if old == new {
        return writeln!(out, "{title}: the same");
    }
    writeln!(out, "{title}:")?;
    for line in old.difference(new) {
        writeln!(out, "  - {line}")?;
    }
    for line in new.difference(old) {
        writeln!(out, "  + {line}")?;
    }
    Ok(())
}
