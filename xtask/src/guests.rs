//! The workspace's plugins: members that cargo builds into components, wherever they lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::paths::target_dir;
use crate::workspace::{Package, Workspace};

/// Who exports a plugin's world depends on one of these.
const BINDINGS: &[&str] = &["freefans-plugin", "wit-bindgen"];

/// What a plugin is for: `kind` under `[package.metadata.plugin]` in its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `shipped`: part of the product.
    Shipped,
    /// `example`: shows how to write one. It is not shipped: readers copy it into a running worker's folder.
    Example,
    /// Without a kind: somebody's own.
    Own,
    /// `test`: for tests and benches only.
    Test,
}

/// A member that is a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether it has a marked build, which has another version and shows a star. Tests swap it in.
    pub(crate) has_marked: bool,
    /// Where its manifest is.
    folder: PathBuf,
}

impl Guest {
    /// All plugins of the workspace, by kind and name.
    pub(crate) fn all(root: &Path) -> anyhow::Result<Vec<Self>> {
        Self::of(&Workspace::load(root)?)
    }

    /// The names of all of a kind.
    pub(crate) fn names(root: &Path, kind: Kind) -> anyhow::Result<Vec<String>> {
        let guests = Self::all(root)?.into_iter();
        Ok(guests.filter(|guest| guest.kind == kind).map(|guest| guest.name).collect())
    }

    fn of(workspace: &Workspace) -> anyhow::Result<Vec<Self>> {
        let is_guest = |package: &&Package| {
            package.is_cdylib
                && workspace.direct(package).any(|direct| BINDINGS.contains(&direct.name.as_str()))
        };
        let guests = workspace.members().filter(is_guest).map(|package| {
            Ok(Self {
                name: package.name.clone(),
                kind: kind(package)?,
                has_marked: package.features.iter().any(|feature| feature == "marked"),
                folder: package.manifest.parent().context("a manifest is in a folder")?.to_owned(),
            })
        });
        let mut guests = guests.collect::<anyhow::Result<Vec<Self>>>()?;
        guests.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
        Ok(guests)
    }

    /// The folder that its component is put into.
    pub(crate) fn place(&self, root: &Path) -> PathBuf {
        match self.kind {
            Kind::Shipped => root.join("plugins"),
            Kind::Example => target_dir(root).join("examples"),
            Kind::Own => self.folder.clone(),
            Kind::Test => target_dir(root).join("guests"),
        }
    }

    /// What cargo calls the file that it builds.
    pub(crate) fn built(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }

    /// The settings of an example, which are copied beside its component.
    pub(crate) fn settings(&self) -> Option<PathBuf> {
        (self.kind == Kind::Example).then(|| self.folder.with_extension("toml"))
    }
}

fn kind(package: &Package) -> anyhow::Result<Kind> {
    Ok(match package.plugin_kind.as_deref() {
        None => Kind::Own,
        Some("shipped") => Kind::Shipped,
        Some("example") => Kind::Example,
        Some("test") => Kind::Test,
        Some(other) => bail!(
            "{}: `kind = \"{other}\"` under [package.metadata.plugin] must be shipped, example or test",
            package.manifest.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn package(name: &str, types: &[&str], metadata: &Value) -> Value {
        json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "metadata": metadata,
            "features": {"marked": []}, "targets": [{"kind": types}]})
    }

    fn guests(packages: &[Value]) -> anyhow::Result<Vec<Guest>> {
        let id = |package: &Value| package["id"].clone();
        let nodes: Vec<Value> = packages
            .iter()
            .map(|package| {
                let dependency = json!({"pkg": "freefans-plugin", "dep_kinds": [{"kind": null}]});
                json!({"id": id(package), "deps": [dependency]})
            })
            .collect();
        let members: Vec<Value> = packages.iter().map(id).collect();
        let metadata = json!({"workspace_members": members, "packages": packages, "resolve": {"nodes": nodes}});
        Guest::of(&Workspace::parse(&metadata)?)
    }

    #[test]
    fn a_member_that_builds_a_component_is_a_plugin_wherever_it_lies() {
        let library = package("freefans-plugin", &["lib"], &Value::Null);
        let tide = package("far/away/tide-pool", &["cdylib", "rlib"], &Value::Null);
        let shipped = json!({"plugin": {"kind": "shipped"}});
        let search = package("search", &["cdylib"], &shipped);
        let found = guests(&[library, tide, search, package("kit", &["lib"], &shipped)]).unwrap();
        let found: Vec<(&str, Kind)> =
            found.iter().map(|guest| (guest.name.as_str(), guest.kind)).collect();
        assert_eq!(found, [("search", Kind::Shipped), ("far/away/tide-pool", Kind::Own)]);
    }

    #[test]
    fn a_component_of_ones_own_stays_in_its_folder() {
        let library = package("freefans-plugin", &["lib"], &Value::Null);
        let tide = package("tide-pool", &["cdylib"], &Value::Null);
        let found = guests(&[library, tide]).unwrap();
        assert_eq!(found[0].place(Path::new("/w")), Path::new("/w/tide-pool"));
        assert_eq!(found[0].built(), "tide_pool.wasm");
    }

    #[test]
    fn a_misspelt_kind_is_told() {
        let library = package("freefans-plugin", &["lib"], &Value::Null);
        let wrong = package("tide", &["cdylib"], &json!({"plugin": {"kind": "shiped"}}));
        let told = guests(&[library, wrong]).unwrap_err().to_string();
        assert!(told.contains("`kind = \"shiped\"`"), "{told}");
    }
}
