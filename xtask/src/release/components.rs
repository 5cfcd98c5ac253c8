//! What a program or plugin is built from: the crates that its own crate depends on, on its platform.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::command::capture;
use crate::toolchain::clean_cargo;

/// One crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: Option<String>,
    /// Where it comes from; none for one of ours.
    pub(super) source: Option<String>,
    /// SHA-256 of its package, as Cargo.lock has it.
    pub(super) checksum: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) folder: PathBuf,
    /// Indexes of the crates that it is built with.
    pub(super) needs: BTreeSet<usize>,
}

impl Component {
    /// Its address in the package registry (purl).
    pub(super) fn address(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// All crates for a platform.
pub(super) struct Components {
    all: Vec<Component>,
    by_id: BTreeMap<String, usize>,
    ours: BTreeMap<String, usize>,
}

impl Components {
    /// Asks cargo for the crates for `platform`.
    pub(super) fn load(root: &Path, platform: &str) -> anyhow::Result<Self> {
        let mut cargo = clean_cargo(root);
        cargo.args(["metadata", "--quiet", "--locked", "--format-version", "1"]);
        let metadata = capture(cargo.args(["--filter-platform", platform]))?;
        let metadata = serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
        let lock =
            std::fs::read_to_string(root.join("Cargo.lock")).context("reading Cargo.lock")?;
        Self::parse(&metadata, &checksums(&lock))
    }

    fn parse(
        metadata: &Value,
        checksums: &BTreeMap<(String, String), String>,
    ) -> anyhow::Result<Self> {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
        let mut components =
            Self { all: Vec::new(), by_id: BTreeMap::new(), ours: BTreeMap::new() };
        for package in list(metadata.get("packages")).context("no packages")? {
            let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
            let name = text("name").context("a package has no name")?;
            let version = text("version").context("a package has no version")?;
            let source = text("source");
            let index = components.all.len();
            if source.is_none() {
                components.ours.insert(name.clone(), index);
            }
            components.by_id.insert(text("id").context("a package has no id")?, index);
            let manifest = PathBuf::from(text("manifest_path").unwrap_or_default());
            components.all.push(Component {
                checksum: checksums.get(&(name.clone(), version.clone())).cloned(),
                name,
                version,
                // The former spelling of `OR`.
                licence: text("license").map(|licence| licence.replace('/', " OR ")),
                source,
                repository: text("repository"),
                folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
                needs: BTreeSet::new(),
            });
        }
        for node in list(metadata.pointer("/resolve/nodes")).context("no resolved tree")? {
            let id = node.get("id").and_then(Value::as_str).unwrap_or_default();
            let Some(index) = components.by_id.get(id) else { continue };
            let needs = list(node.get("deps")).unwrap_or_default();
            let needs = needs.iter().filter(|needed| is_built_in(needed));
            let ids = needs.filter_map(|needed| needed.get("pkg")?.as_str());
            let needs = ids.filter_map(|id| components.by_id.get(id).copied()).collect();
            if let Some(component) = components.all.get_mut(*index) {
                component.needs = needs;
            }
        }
        Ok(components)
    }

    pub(super) fn get(&self, index: usize) -> Option<&Component> {
        self.all.get(index)
    }

    /// One of our crates, and all that it is built from, itself included.
    pub(super) fn of(&self, crate_name: &str) -> anyhow::Result<(usize, BTreeSet<usize>)> {
        let own = self.ours.get(crate_name);
        let own = *own.with_context(|| format!("no crate of ours is called `{crate_name}`"))?;
        let mut found = BTreeSet::from([own]);
        let mut waiting = vec![own];
        while let Some(component) = waiting.pop().and_then(|index| self.get(index)) {
            waiting.extend(component.needs.iter().filter(|needed| found.insert(**needed)));
        }
        Ok((own, found))
    }
}

/// Not only its tests or its build script need it.
fn is_built_in(needed: &Value) -> bool {
    let kinds = needed.get("dep_kinds").and_then(Value::as_array);
    kinds.into_iter().flatten().any(|kind| kind.get("kind").is_none_or(Value::is_null))
}

/// Checksums by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let package = |text: &str| {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            Some(line?.strip_suffix('"')?.to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    packages.filter_map(package).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    const CHECKSUM: &str = "8ceb1d9c0d2b2dd1d9c8ea2d9ec9e1e70b0a1f1d5c9f2e6bb3c0f1a4d5e6f708";

    pub(in crate::release) fn sample() -> Components {
        let package = |name: &str, source: Option<&str>| {
            json!({"id": name, "name": name, "version": "1.0.0", "source": source,
                "license": "MIT/Apache-2.0", "manifest_path": format!("/c/{name}/Cargo.toml")})
        };
        let dependency =
            |name: &str, kind: Option<&str>| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                package("host", None), package("engine", Some("registry")),
                package("tester", Some("registry")), package("maker", Some("registry")),
            ],
            "resolve": {"nodes": [
                {"id": "host", "deps": [
                    dependency("engine", None), dependency("tester", Some("dev")),
                    dependency("maker", Some("build")),
                ]},
                {"id": "engine", "deps": []},
            ]},
        });
        let lock = format!(
            "[[package]]\nname = \"engine\"\nversion = \"1.0.0\"\nchecksum = \"{CHECKSUM}\"\n"
        );
        Components::parse(&metadata, &checksums(&lock)).unwrap()
    }

    #[test]
    fn what_only_tests_and_build_scripts_need_is_not_in_a_program() {
        let components = sample();
        let (own, all) = components.of("host").unwrap();
        let names: Vec<_> =
            all.iter().map(|index| components.get(*index).unwrap().name.clone()).collect();
        assert_eq!(names, ["host", "engine"]);
        assert_eq!(components.get(own).unwrap().name, "host");
        let engine = components.get(1).unwrap();
        assert_eq!(engine.checksum.as_deref(), Some(CHECKSUM));
        assert_eq!(engine.licence.as_deref(), Some("MIT OR Apache-2.0"));
        assert!(components.of("engine").is_err(), "not one of ours");
    }
}
