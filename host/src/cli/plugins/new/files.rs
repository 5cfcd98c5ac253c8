//! The files of a new plugin, from what is embedded in the program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::language::Language;
use super::name::PluginName;

/// Templates, libraries and the contract, by path: `templates/LANGUAGE/…`, `templates/wit-deps/…`, `sdk/LANGUAGE/…`,
/// `wit/NAME.wit`. `build.rs` lists them.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
/// Ending of a template that other tools would take for their own, such as `Cargo.toml`.
const TEMPLATE: &str = ".template";
/// Ending of a file that takes the place of another one inside the repository.
const MEMBER: &str = ".member";

/// Where the plugin is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// With nothing around it: it brings along what it needs.
    Anywhere,
    /// In the repository, which has the contract and the library.
    Repository,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewFile {
    /// Within the plugin's folder.
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl NewFile {
    /// Whether it is to be run.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no such right"))]
    pub(super) fn is_script(&self) -> bool {
        self.bytes.starts_with(b"#!")
    }
}

/// All files of a plugin.
pub(super) fn of(
    language: Language,
    surroundings: Surroundings,
    name: &PluginName,
) -> Vec<NewFile> {
    let mut files = match surroundings {
        Surroundings::Anywhere => brought_along(language),
        Surroundings::Repository => BTreeMap::new(),
    };
    // A template may replace what it brings along.
    files.extend(template(language, surroundings, name));
    files.into_iter().map(|(path, bytes)| NewFile { path: path.into(), bytes }).collect()
}

/// The contract and the language's library.
fn brought_along(language: Language) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (path, bytes) in within("wit/").filter(|(path, _)| path.ends_with(".wit")) {
        files.insert(format!("wit/{path}"), bytes.to_vec());
        if language == Language::Rust {
            // The library makes its bindings from its own copy.
            files.insert(format!("sdk/wit/{path}"), bytes.to_vec());
        }
    }
    // Rust has them in a crate.
    if language != Language::Rust {
        let packages = within("templates/wit-deps/");
        files.extend(packages.map(|(path, bytes)| (format!("wit/deps/{path}"), bytes.to_vec())));
    }
    let folder = format!("sdk/{}/", language.folder());
    // The manifest is that of the workspace; the template has one of its own.
    let sdk = within(&folder).filter(|(path, _)| *path != "Cargo.toml");
    files.extend(sdk.map(|(path, bytes)| (format!("sdk/{path}"), bytes.to_vec())));
    files
}

fn template(
    language: Language,
    surroundings: Surroundings,
    name: &PluginName,
) -> BTreeMap<String, Vec<u8>> {
    let files: Vec<(&str, &[u8])> = within(&format!("templates/{}/", language.folder())).collect();
    let is_needed =
        |path: &str| surroundings == Surroundings::Anywhere || !path.starts_with("sdk/");
    let plain = files.iter().filter(|(path, _)| !path.ends_with(MEMBER) && is_needed(path));
    let mut filled: BTreeMap<String, Vec<u8>> = plain
        .map(|(path, bytes)| {
            (name.fill(path.strip_suffix(TEMPLATE).unwrap_or(path)), fill(name, bytes))
        })
        .collect();
    if surroundings == Surroundings::Repository {
        let members = files.iter().filter_map(|(path, bytes)| {
            Some((name.fill(path.strip_suffix(MEMBER)?), fill(name, bytes)))
        });
        filled.extend(members);
    }
    filled
}

/// Fills in a text; anything else stays.
fn fill(name: &PluginName, bytes: &[u8]) -> Vec<u8> {
    str::from_utf8(bytes)
        .map_or_else(|_no_text| bytes.to_vec(), |text| name.fill(text).into_bytes())
}

/// The embedded files in a folder, by their paths within it.
fn within(folder: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    EMBEDDED.iter().filter_map(move |(path, bytes)| Some((path.strip_prefix(folder)?, *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dependencies of a manifest: their names and versions.
    fn dependencies(manifest: &toml::Table, sections: &[&str]) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for section in sections {
            let table =
                section.split('/').try_fold(manifest, |table, name| table.get(name)?.as_table());
            for (name, value) in table.into_iter().flatten() {
                let version = value.as_str().or_else(|| value.get("version")?.as_str());
                found.extend(version.map(|version| (name.clone(), version.to_owned())));
            }
        }
        found
    }

    #[test]
    fn a_plugin_in_rust_is_built_with_the_crates_of_the_workspace() {
        let root: toml::Table = include_str!("../../../../../Cargo.toml").parse().unwrap();
        let workspace = dependencies(&root, &["workspace/dependencies"]);
        let name = PluginName::parse("tide", Language::Rust).unwrap();
        let files = of(Language::Rust, Surroundings::Anywhere, &name);
        let mut compared = 0;
        for path in ["Cargo.toml", "sdk/Cargo.toml"] {
            let file = files.iter().find(|file| file.path.as_os_str() == path).unwrap();
            let manifest: toml::Table = str::from_utf8(&file.bytes).unwrap().parse().unwrap();
            let sections = [
                "dependencies",
                "dev-dependencies",
                "target/cfg(target_family = \"wasm\")/dependencies",
            ];
            for (dependency, version) in dependencies(&manifest, &sections) {
                assert_eq!(Some(&version), workspace.get(&dependency), "{dependency} in {path}");
                compared += 1;
            }
        }
        assert_eq!(compared, 8);
    }

    #[test]
    fn the_repository_keeps_one_contract_and_one_library() {
        let name = PluginName::parse("tide", Language::Rust).unwrap();
        let files = of(Language::Rust, Surroundings::Repository, &name);
        let paths: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
        assert!(paths.iter().all(|path| !path.starts_with("sdk/") && !path.starts_with("wit/")));
        assert!(paths.iter().any(|path| path == "tide.toml"), "{paths:?}");
        let manifest = files.iter().find(|file| file.path.as_os_str() == "Cargo.toml").unwrap();
        assert!(
            str::from_utf8(&manifest.bytes).unwrap().contains("freefans-plugin.workspace = true")
        );
    }
}
