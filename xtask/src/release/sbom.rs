//! Lists of components (SBOM) in `CycloneDX` 1.5, one for each program and plugin.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::components::{Component, Components};
use super::contents::{PLATFORM, PROGRAMS};
use super::stage;
use crate::digest;
use crate::guests::{Guest, Kind};
use crate::toolchain::TARGET;

/// Writes a list for each program and plugin of the folder.
pub(super) fn write_all(root: &Path, staged: &Path) -> anyhow::Result<()> {
    let programs = Components::load(root, PLATFORM)?;
    let plugins = Components::load(root, TARGET)?;
    let of_programs =
        PROGRAMS.iter().map(|(file, name)| (&programs, format!("bin/{file}"), *file, *name));
    let shipped = Guest::names(root, Kind::Shipped)?;
    let of_plugins = shipped
        .iter()
        .map(|name| (&plugins, format!("plugins/{name}.wasm"), name.as_str(), name.as_str()));
    for (components, file, short, crate_name) in of_programs.chain(of_plugins) {
        let bytes = fs::read(staged.join(&file)).with_context(|| format!("reading {file}"))?;
        let (own, all) = components.of(crate_name)?;
        let list = list(components, &file, &bytes, own, &all)?;
        println!("{file}: {} components", all.len().saturating_sub(1));
        let text = format!("{list:#}\n");
        stage::write(&staged.join(format!("sbom/{short}.cdx.json")), text.as_bytes())?;
    }
    Ok(())
}

/// The list of one file. It names no time and no machine, so that the same file has the same list.
fn list(
    components: &Components,
    file: &str,
    bytes: &[u8],
    own: usize,
    all: &BTreeSet<usize>,
) -> anyhow::Result<Value> {
    let get = |index: usize| components.get(index).context("a component is there");
    let digest = digest::hex(bytes);
    let subject = get(own)?;
    let mut described = component(subject, "application");
    described.insert("name".to_owned(), file.rsplit('/').next().unwrap_or(file).into());
    described.insert("hashes".to_owned(), json!([{"alg": "SHA-256", "content": digest}]));
    let mut parts = Vec::new();
    let mut dependencies = Vec::new();
    for index in all {
        let found = get(*index)?;
        if *index != own {
            parts.push(component(found, "library"));
        }
        let needs: Vec<String> = found
            .needs
            .iter()
            .map(|needed| Ok(get(*needed)?.address()))
            .collect::<anyhow::Result<_>>()?;
        dependencies.push(json!({"ref": found.address(), "dependsOn": needs}));
    }
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(&digest),
        "version": 1,
        "metadata": {
            "tools": {"components": [{
                "type": "application", "name": "xtask", "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": described,
        },
        "components": parts,
        "dependencies": dependencies,
    }))
}

fn component(found: &Component, kind: &str) -> Map<String, Value> {
    let address = found.address();
    let licences = found.licence.as_ref().map(|licence| json!([{"expression": licence}]));
    let hashes =
        found.checksum.as_ref().map(|content| json!([{"alg": "SHA-256", "content": content}]));
    let places = found.repository.as_ref().map(|url| json!([{"type": "vcs", "url": url}]));
    let members = [
        ("type", Some(kind.into())),
        ("bom-ref", Some(address.as_str().into())),
        ("name", Some(found.name.as_str().into())),
        ("version", Some(found.version.as_str().into())),
        ("licenses", licences),
        ("hashes", hashes),
        ("purl", Some(address.as_str().into())),
        ("externalReferences", places),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A UUID (version 8, RFC 9562) from the file's digest.
fn serial(digest: &str) -> String {
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use jsonschema::Registry;

    use super::super::components::tests::sample;
    use super::*;

    /// The schema of `CycloneDX`, without its descriptions (Apache-2.0, from its specification).
    fn validator() -> jsonschema::Validator {
        let schema = |name: &str| -> Value {
            let file = crate::paths::root().unwrap().join("xtask/schemas").join(name);
            serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
        };
        let mut registry = Registry::new();
        for name in ["spdx", "jsf-0.82"] {
            let file = format!("{name}.schema.json");
            let address = format!("http://cyclonedx.org/schema/{file}");
            registry = registry.add(address, schema(&file)).unwrap();
        }
        let registry = registry.prepare().unwrap();
        let options = jsonschema::options().with_registry(&registry);
        options.build(&schema("bom-1.5.schema.json")).unwrap()
    }

    #[track_caller]
    fn is_valid(list: &Value) {
        let validator = validator();
        let errors: Vec<_> = validator.iter_errors(list).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    #[test]
    fn a_list_names_the_file_and_its_parts_and_fits_the_schema() {
        let components = sample();
        let (own, all) = components.of("host").unwrap();
        let made = || list(&components, "bin/worker", b"bytes", own, &all).unwrap();
        let list = made();
        is_valid(&list);
        assert_eq!(list, made(), "the same each time");
        assert_eq!(list["metadata"]["component"]["name"], "worker");
        assert_eq!(list["metadata"]["component"]["hashes"][0]["content"], digest::hex(b"bytes"));
        assert_eq!(list["components"][0]["purl"], "pkg:cargo/engine@1.0.0");
        assert_eq!(list["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(list["dependencies"][0]["dependsOn"], json!(["pkg:cargo/engine@1.0.0"]));
        let mut wrong = list;
        wrong["components"][0]["type"] = "crate".into();
        assert!(!validator().is_valid(&wrong), "the schema checks something");
    }

    #[test]
    fn the_lists_of_what_is_shipped_fit_the_schema() {
        let root = crate::paths::root().unwrap();
        for (platform, crate_name, part) in [
            (PLATFORM, "host", "wasmtime"),
            (PLATFORM, "coordinator", "teloxide"),
            (TARGET, "search", "wit-bindgen"),
        ] {
            let components = Components::load(&root, platform).unwrap();
            let (own, all) = components.of(crate_name).unwrap();
            let list = list(&components, crate_name, b"", own, &all).unwrap();
            is_valid(&list);
            let parts = list["components"].as_array().unwrap();
            assert!(parts.iter().any(|found| found["name"] == part), "{crate_name}");
            let unhashed = parts.iter().filter(|found| found["hashes"].is_null());
            // Those of ours are in no registry.
            assert!(unhashed.count() < 5, "{crate_name}");
        }
    }
}
