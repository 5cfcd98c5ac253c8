//! What is kept of plugins between starts: `precompile`, `rollback`, `accept`, `history`, and the kept lines of `list`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use queue::task::now_ms;
use queue::{PluginChange, PluginEvent};
use serde_json::json;

use crate::archive::{KeptVersion, KeptVersions};
use crate::config::Ceilings;
use crate::plugin::compile::cache::PreparedCache;
use crate::plugin::load::{hex, is_plugin_name};
use crate::plugin_config::PluginConfig;
use crate::swap::files;
use crate::swap::rollback::{PutBack, RollbackError, roll_back};

/// The two things that are kept in one folder.
pub(super) type Kept = (PreparedCache, KeptVersions);

/// Opens the folder, which is made when it is not there; the versions are those of the plugins in `plugins`.
pub(super) fn open(folder: Option<&Path>, plugins: &Path) -> anyhow::Result<Kept> {
    let folder =
        folder.context("nothing is kept without a folder; name one with --plugin-cache")?;
    let prepared = PreparedCache::open(folder)
        .with_context(|| format!("cannot use the folder {}", folder.display()))?;
    let versions = KeptVersions::open(folder, plugins).with_context(|| {
        format!("cannot use {} for the plugins in {}", folder.display(), plugins.display())
    })?;
    Ok((prepared, versions))
}

/// Opens the folder when it is there: looking makes none.
pub(super) fn open_existing(folder: Option<&Path>, plugins: &Path) -> anyhow::Result<Option<Kept>> {
    match folder.filter(|folder| folder.is_dir()) {
        Some(folder) => open(Some(folder), plugins).map(Some),
        None => Ok(None),
    }
}

/// The lines below a plugin's in `list`.
pub(super) fn write_versions(
    out: &mut impl Write,
    versions: &[KeptVersion],
) -> std::io::Result<()> {
    for kept in versions {
        write!(
            out,
            "  kept {}: {} (sha256 {:.12}), in force since {}",
            kept.id.as_str(),
            kept.version,
            kept.digest,
            ago(kept.since)
        )?;
        match kept.rejected {
            None => writeln!(out)?,
            Some(why) => writeln!(
                out,
                "; rolled back {}: {} of its first {} tasks failed",
                ago(why.at),
                why.failed,
                why.ended
            )?,
        }
    }
    Ok(())
}

pub(super) fn put_back(
    out: &mut impl Write,
    in_json: bool,
    versions: &KeptVersions,
    folder: &Path,
    plugin: &str,
    (to, with_settings): (Option<&str>, bool),
) -> anyhow::Result<()> {
    let PutBack { version, other_settings } =
        roll_back(versions, folder, plugin, to, with_settings)?;
    if in_json {
        writeln!(out, "{:#}", json!({"in_place": version, "other_settings": other_settings}))?;
        return Ok(());
    }
    writeln!(
        out,
        "{plugin}: {} (sha256 {:.12}) is in place again; running workers take it within seconds",
        version.version, version.digest
    )?;
    if other_settings {
        writeln!(
            out,
            "the settings in place are others than it ran with; --with-settings brings those back too"
        )?;
    }
    Ok(())
}

/// Forgets what was rolled back, and takes the data files in place however little they are.
pub(super) fn accept(
    out: &mut impl Write,
    versions: &KeptVersions,
    folder: &Path,
    plugin: &str,
) -> anyhow::Result<bool> {
    anyhow::ensure!(is_plugin_name(plugin), RollbackError::Name(plugin.to_owned()));
    let accepted = versions.accept_again(plugin).context("cannot note it")?;
    let component = folder.join(plugin).with_extension("wasm");
    let config = PluginConfig::for_component(&component, &Ceilings::default())?;
    let former = versions.former_data(plugin);
    let mut taken = BTreeMap::new();
    for (name, file) in &config.data {
        let digest = files::digest(file);
        let digest = digest.with_context(|| format!("cannot read {}", file.display()))?;
        taken.insert(name.clone(), hex(&digest));
    }
    let other_data = taken
        .iter()
        .any(|(name, digest)| former.get(name).is_some_and(|fact| fact.digest != *digest));
    versions.accept_data(plugin, taken).context("cannot note it")?;
    if other_data {
        writeln!(
            out,
            "the data of {plugin} that is in place is taken, however little it is; running workers take it within seconds"
        )?;
    }
    if 0 < accepted {
        writeln!(out, "{plugin} may be tried once more; running workers look within seconds")?;
    }
    if !other_data && accepted == 0 {
        writeln!(
            out,
            "no version of {plugin} was rolled back, and the data in place is what is in force"
        )?;
    }
    Ok(other_data || 0 < accepted)
}

pub(super) fn write_history(
    out: &mut impl Write,
    in_json: bool,
    events: &[PluginEvent],
) -> anyhow::Result<()> {
    if in_json {
        writeln!(out, "{:#}", serde_json::to_value(events)?)?;
        return Ok(());
    }
    for event in events {
        let version = event.version.as_deref().unwrap_or("?");
        let what = match (event.change, event.other_version.as_deref()) {
            (PluginChange::Published, None) => format!("{version} is in force"),
            (PluginChange::Published, Some(old)) => format!("{version} is in force after {old}"),
            (PluginChange::Refused, _) => "refused".to_owned(),
            (PluginChange::RolledBack, other) => {
                format!("{version} was rolled back to {}", other.unwrap_or("?"))
            }
            (PluginChange::Removed, _) => format!("{version} was removed"),
        };
        let digest = event.digest.as_deref().unwrap_or_default();
        let facts = [
            Some(digest.get(..12).unwrap_or_default()).filter(|digest| !digest.is_empty()),
            event.reason.as_deref(),
        ];
        let facts: Vec<&str> = facts.into_iter().flatten().collect();
        let facts =
            if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
        let line =
            format!("{}: {}: {what}{facts} on {}", ago(event.at), event.plugin, event.worker);
        // From Redis, and in part a guest's words: one line, whatever they are.
        let line = line.split(char::is_control).collect::<Vec<_>>().join(" ");
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// A time as a person reads it.
fn ago(at_ms: u64) -> String {
    let seconds = Duration::from_millis(now_ms().saturating_sub(at_ms)).as_secs();
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
