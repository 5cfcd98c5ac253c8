//! What `cargo metadata` says about this workspace: its members and everything they depend on.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::command::capture;
use crate::toolchain::clean_cargo;

/// The members and the whole resolved tree, for every platform.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// By cargo's id, which tells two versions of one crate apart.
    packages: BTreeMap<String, Package>,
}

/// One crate of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// Whether it is one of ours.
    pub(crate) member: bool,
    /// Whether it has a library, and so perhaps examples in its documentation.
    pub(crate) has_lib: bool,
    /// Whether it has a library for programs in other languages, which a component is built of.
    pub(crate) is_cdylib: bool,
    pub(crate) features: Vec<String>,
    /// `kind` under `[package.metadata.plugin]`.
    pub(crate) plugin_kind: Option<String>,
    /// Ids of what it is built with, without what only its tests need.
    dependencies: Vec<String>,
}

impl Workspace {
    /// Asks cargo about the workspace at `root`.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let mut command = clean_cargo(root);
        command.args(["metadata", "--quiet", "--locked", "--all-features"]);
        command.args(["--format-version", "1"]);
        let metadata = capture(&mut command)?;
        Self::parse(&serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?)
    }

    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages().filter(|package| package.member)
    }

    /// What `package` names in its own manifest.
    pub(crate) fn direct<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = &'a Package> {
        package.dependencies.iter().filter_map(|id| self.packages.get(id))
    }

    /// The shortest way from `from` to a crate that `is_wanted`: the names after `from`'s own.
    pub(crate) fn way_to(
        &self,
        from: &Package,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<Vec<&str>> {
        let mut reached_from: HashMap<&str, &str> = HashMap::new();
        let mut seen: HashSet<&str> = from.dependencies.iter().map(String::as_str).collect();
        let mut waiting: VecDeque<&str> = from.dependencies.iter().map(String::as_str).collect();
        while let Some(id) = waiting.pop_front() {
            let Some(package) = self.packages.get(id) else { continue };
            if is_wanted(&package.name) {
                let ids = std::iter::successors(Some(id), |id| reached_from.get(id).copied());
                let packages = ids.filter_map(|id| self.packages.get(id));
                let mut way: Vec<_> = packages.map(|package| package.name.as_str()).collect();
                way.reverse();
                return Some(way);
            }
            for next in &package.dependencies {
                if seen.insert(next) {
                    reached_from.insert(next, id);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    /// Reads the answer of `cargo metadata`.
    pub(crate) fn parse(metadata: &Value) -> anyhow::Result<Self> {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        let members = list(metadata.get("workspace_members")).context("no members")?;
        let nodes = list(metadata.pointer("/resolve/nodes")).context("no resolved tree")?;
        let mut dependencies: HashMap<&str, Vec<String>> = nodes.iter().filter_map(node).collect();
        let mut packages = BTreeMap::new();
        for package in list(metadata.get("packages")).context("no packages")? {
            let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
            let id = text("id").context("a package has no id")?;
            let mut package = Package {
                name: text("name").context("a package has no name")?,
                manifest: text("manifest_path").unwrap_or_default().into(),
                member: members.iter().any(|member| *member == id.as_str()),
                has_lib: has_kind(&package, &["lib", "rlib"]),
                is_cdylib: has_kind(&package, &["cdylib"]),
                features: features(&package),
                plugin_kind: package
                    .pointer("/metadata/plugin/kind")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                dependencies: dependencies.remove(id.as_str()).unwrap_or_default(),
            };
            package.dependencies.sort();
            packages.insert(id, package);
        }
        Ok(Self { packages })
    }
}

fn has_kind(package: &Value, wanted: &[&str]) -> bool {
    let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
    let kinds = targets.filter_map(|target| target.get("kind")?.as_array()).flatten();
    kinds.filter_map(Value::as_str).any(|kind| wanted.contains(&kind))
}

fn features(package: &Value) -> Vec<String> {
    let features = package.get("features").and_then(Value::as_object);
    features.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// A node's id and those of its dependencies.
fn node(node: &Value) -> Option<(&str, Vec<String>)> {
    let for_more_than_tests = |dependency: &&Value| {
        let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
        kinds.into_iter().flatten().any(|kind| kind.get("kind").is_none_or(|kind| kind != "dev"))
    };
    let dependencies = node.get("deps")?.as_array()?.iter().filter(for_more_than_tests);
    let ids = dependencies.filter_map(|dependency| dependency.get("pkg")?.as_str());
    Some((node.get("id")?.as_str()?, ids.map(str::to_owned).collect()))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace of `(name, dependencies, dev-dependencies)`; those without a row are foreign.
    pub(crate) fn workspace(rows: &[(&str, &[&str], &[&str])], members: &[&str]) -> Workspace {
        let package = |name: &str| json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "targets": [{"kind": ["lib"]}]});
        let nodes = rows.iter().map(|(name, normal, dev)| {
            let normal =
                normal.iter().map(|pkg| json!({"pkg": pkg, "dep_kinds": [{"kind": null}]}));
            let dev = dev.iter().map(|pkg| json!({"pkg": pkg, "dep_kinds": [{"kind": "dev"}]}));
            json!({"id": name, "deps": normal.chain(dev).collect::<Vec<_>>()})
        });
        let packages: Vec<_> = rows.iter().map(|(name, _, _)| package(name)).collect();
        let metadata = json!({"workspace_members": members, "packages": packages,
            "resolve": {"nodes": nodes.collect::<Vec<_>>()}});
        Workspace::parse(&metadata).unwrap()
    }

    #[test]
    fn the_shortest_way_is_found_and_tests_do_not_count() {
        let workspace = workspace(
            &[
                ("queue", &["redis"], &["wasmtime"]),
                ("redis", &["tls"], &[]),
                ("tls", &["openssl"], &[]),
                ("openssl", &[], &[]),
                ("wasmtime", &[], &[]),
            ],
            &["queue"],
        );
        let queue = workspace.members().next().unwrap();
        let way = workspace.way_to(queue, |name| name == "openssl");
        assert_eq!(way, Some(vec!["redis", "tls", "openssl"]));
        assert_eq!(workspace.way_to(queue, |name| name == "wasmtime"), None);
        assert_eq!(workspace.direct(queue).count(), 1);
    }
}
