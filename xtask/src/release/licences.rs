//! The licences of other people's code, which ask to be handed on with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::components::{Component, Components};
use super::contents::{PLATFORM, PROGRAMS};
use super::stage;
use crate::guests::{Guest, Kind};
use crate::toolchain::TARGET;

/// How the files begin that have to be handed on.
const NAMES: &[&str] = &["license", "licence", "copying", "notice", "copyright", "unlicense"];
/// A text that begins so is one.
const LONGEST: u64 = 1 << 20;

/// Writes them into one file: each text once, with the crates that have it.
pub(super) fn write(root: &Path, staged: &Path) -> anyhow::Result<()> {
    let programs = Components::load(root, PLATFORM)?;
    let plugins = Components::load(root, TARGET)?;
    let of_programs = PROGRAMS.iter().map(|(_, name)| (&programs, *name));
    let shipped = Guest::names(root, Kind::Shipped)?;
    let of_plugins = shipped.iter().map(|name| (&plugins, name.as_str()));
    let mut found: BTreeMap<String, Component> = BTreeMap::new();
    for (components, name) in of_programs.chain(of_plugins) {
        let (_, all) = components.of(name)?;
        let foreign = all.iter().filter_map(|index| components.get(*index));
        let foreign = foreign.filter(|component| component.source.is_some());
        found.extend(foreign.map(|component| (component.address(), component.clone())));
    }
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut summary =
        String::from("Other people's code in these programs and plugins, with its licences.\n\n");
    for component in found.values() {
        let name = format!("{} {}", component.name, component.version);
        let licence = component.licence.as_deref().unwrap_or("see its text below");
        summary.push_str(&format!("{name}: {licence}\n"));
        for text in texts(&component.folder)? {
            by_text.entry(text).or_default().push(name.clone());
        }
    }
    for (text, names) in by_text {
        summary.push_str(&format!(
            "\n{}\n{}\n\n{}\n",
            "-".repeat(72),
            names.join(", "),
            text.trim()
        ));
    }
    stage::write(&staged.join("THIRD-PARTY-LICENSES.txt"), summary.as_bytes())
}

/// The texts in a crate's folder.
fn texts(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let is_one = NAMES.iter().any(|beginning| name.starts_with(beginning));
        let kind = entry.metadata()?;
        if is_one && kind.is_file() && kind.len() <= LONGEST {
            let bytes = fs::read(entry.path())?;
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_licences_and_notices_of_a_crate_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("LICENSE-MIT", "mit"), ("NOTICE", "notice"), ("README.md", "no"), ("lib.rs", "no")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("licenses")).unwrap();
        assert_eq!(texts(folder.path()).unwrap(), ["mit", "notice"]);
    }
}
