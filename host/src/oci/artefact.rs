//! A plugin as an artefact: config and one layer with the media types that the tools for WebAssembly share.
//!
//! The settings file and the signature are annotations of the manifest. They cannot be further layers: other tools refuse
//! an artefact with more than one. They pass over annotations, and the manifest's digest covers them.

use std::collections::BTreeMap;

use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Serialize;
use serde_json::Value;

use super::address::is_sha256;
use super::error::{RegistryError, shown};
use crate::digest::sha256_hex;

/// The media type of the config.
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// The media type of a component.
const COMPONENT_TYPE: &str = "application/wasm";
/// The annotations' names.
const SETTINGS: &str = "freefans.plugin.settings";
const SIGNATURE: &str = "freefans.plugin.signature";
const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";

/// Largest manifest, in bytes. With the largest settings file it has half of that; registries take 4 MiB.
pub(super) const MANIFEST_BYTES: usize = 1 << 20;
/// Largest settings file, in bytes. The shipped ones have 2 KiB.
const SETTINGS_BYTES: usize = 64 << 10;
/// Largest signature, in bytes. One has about 300.
const SIGNATURE_BYTES: usize = 4 << 10;

/// The parts of a plugin.
#[derive(Debug)]
pub struct Artefact {
    /// The component.
    pub component: Vec<u8>,
    /// The text of its settings file.
    pub settings: Option<String>,
    /// The text of its minisign signature.
    pub signature: Option<String>,
}

/// What other tools show of a plugin.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// Its name, as it declares it; empty when that is not known.
    pub name: String,
    /// Its version, as it declares it; empty when that is not known.
    pub version: String,
    /// The file's name under which other tools write the component.
    pub file: String,
    /// Names of the component's imports.
    pub imports: Vec<String>,
    /// Names of the component's exports.
    pub exports: Vec<String>,
}

/// What is stored besides the component.
pub(super) struct Layout {
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

/// What a manifest says.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) component_digest: String,
    pub(super) component_bytes: u64,
    pub(super) settings: Option<String>,
    pub(super) signature: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: ConfigComponent<'a>,
}

#[derive(Serialize)]
struct ConfigComponent<'a> {
    exports: &'a [String],
    imports: &'a [String],
    target: Option<&'a str>,
}

/// Lays a plugin out. The same plugin always gets the same digest.
pub(super) fn layout(
    artefact: &Artefact,
    description: &Description,
) -> Result<Layout, RegistryError> {
    let mut component = descriptor(COMPONENT_TYPE, &artefact.component);
    // Without it `oras pull` writes no file.
    let title = BTreeMap::from([(TITLE.to_owned(), description.file.clone())]);
    component.annotations = Some(title).filter(|_| !description.file.is_empty());
    let config = Config {
        // Required, and a time would give each push another digest.
        created: "1970-01-01T00:00:00Z",
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [&component.digest],
        component: ConfigComponent {
            exports: &description.exports,
            imports: &description.imports,
            target: None,
        },
    };
    let config = json(&config)?;
    let annotations = [
        (TITLE, Some(description.name.clone()).filter(|name| !name.is_empty())),
        (VERSION, Some(description.version.clone()).filter(|version| !version.is_empty())),
        (SETTINGS, bounded("settings file", artefact.settings.clone(), SETTINGS_BYTES)?),
        (SIGNATURE, bounded("signature", artefact.signature.clone(), SIGNATURE_BYTES)?),
    ];
    let annotations: BTreeMap<String, String> = annotations
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    let manifest = json(&OciImageManifest {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        config: descriptor(CONFIG_TYPE, &config),
        layers: vec![component],
        subject: None,
        artifact_type: None,
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
    })?;
    if manifest.len() > MANIFEST_BYTES {
        return Err(RegistryError::TooLarge { what: "manifest", limit: MANIFEST_BYTES as u64 });
    }
    Ok(Layout { config, manifest })
}

/// Reads a manifest whose digest has been compared already.
pub(super) fn read_manifest(bytes: &[u8], component_limit: u64) -> Result<Parts, RegistryError> {
    let wrong = |problem: String| RegistryError::Layout { problem };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        wrong(format!("its manifest is not JSON: {}", shown(&error.to_string())))
    })?;
    if value.get("manifests").is_some() {
        return Err(wrong(
            "the address names an index of several artefacts; name one of them by its digest"
                .to_owned(),
        ));
    }
    let manifest: OciImageManifest = serde_json::from_value(value).map_err(|error| {
        wrong(format!("its manifest cannot be read: {}", shown(&error.to_string())))
    })?;
    let mut components = manifest.layers.iter().filter(|layer| layer.media_type == COMPONENT_TYPE);
    let (Some(layer), None) = (components.next(), components.next()) else {
        let found: Vec<&str> =
            manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
        return Err(wrong(format!(
            "it has to have one layer of the type {COMPONENT_TYPE}, and has `{}`",
            shown(&found.join(", "))
        )));
    };
    if !is_sha256(&layer.digest) {
        return Err(wrong("its component is not named by a SHA-256 digest".to_owned()));
    }
    let component_bytes = u64::try_from(layer.size)
        .map_err(|_negative| wrong("its component has a negative size".to_owned()))?;
    if component_bytes > component_limit {
        return Err(RegistryError::TooLarge { what: "component", limit: component_limit });
    }
    let mut annotations = manifest.annotations.unwrap_or_default();
    Ok(Parts {
        component_digest: layer.digest.clone(),
        component_bytes,
        settings: bounded("settings file", annotations.remove(SETTINGS), SETTINGS_BYTES)?,
        signature: bounded("signature", annotations.remove(SIGNATURE), SIGNATURE_BYTES)?,
    })
}

fn bounded(
    what: &'static str,
    text: Option<String>,
    limit: usize,
) -> Result<Option<String>, RegistryError> {
    if text.as_ref().is_some_and(|text| text.len() > limit) {
        return Err(RegistryError::TooLarge { what, limit: limit as u64 });
    }
    Ok(text)
}

fn descriptor(media_type: &str, bytes: &[u8]) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: format!("sha256:{}", sha256_hex(bytes)),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, RegistryError> {
    serde_json::to_vec(value).map_err(|error| RegistryError::Layout { problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMIT: u64 = 1000;

    fn plugin() -> (Artefact, Description) {
        let artefact = Artefact {
            component: b"\0asm component".to_vec(),
            settings: Some("[grants]\nnet = []\n".to_owned()),
            signature: Some("untrusted comment: x\nRUQ\n".to_owned()),
        };
        let description = Description {
            name: "search".to_owned(),
            version: "1.2.0".to_owned(),
            file: "search.wasm".to_owned(),
            imports: vec!["wasi:cli/environment@0.2.0".to_owned()],
            exports: vec!["freefans:plugin/plugin@1.0.0".to_owned()],
        };
        (artefact, description)
    }

    #[test]
    fn what_is_laid_out_is_read_again_and_has_one_layer() {
        let (artefact, description) = plugin();
        let Layout { config, manifest } = layout(&artefact, &description).unwrap();
        let value: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(value["config"]["mediaType"], CONFIG_TYPE);
        assert_eq!(value["layers"].as_array().unwrap().len(), 1);
        assert_eq!(value["layers"][0]["mediaType"], "application/wasm");
        assert_eq!(value["layers"][0]["annotations"][TITLE], "search.wasm");
        assert_eq!(value["annotations"][VERSION], "1.2.0");
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["os"], "wasip2");
        assert_eq!(config["layerDigests"][0], value["layers"][0]["digest"]);
        let parts = read_manifest(&manifest, LIMIT).unwrap();
        assert_eq!(parts.component_bytes, 14);
        assert_eq!(parts.settings, artefact.settings);
        assert_eq!(parts.signature, artefact.signature);
        assert_eq!(layout(&artefact, &description).unwrap().manifest, manifest, "the same digest");
    }

    #[test]
    fn a_manifest_of_something_else_is_refused() {
        let layer = json!({"mediaType": "application/wasm", "size": 15,
            "digest": format!("sha256:{}", "0a".repeat(32))});
        let with = |layers: Value| json!({"schemaVersion": 2, "config": layer, "layers": layers, "annotations": {}});
        let other = |name: &str, value: Value| {
            let mut layer = layer.clone();
            layer[name] = value;
            with(json!([layer]))
        };
        assert!(read_manifest(with(json!([layer])).to_string().as_bytes(), LIMIT).is_ok());
        let mut large = with(json!([layer]));
        large["annotations"][SETTINGS] = "x".repeat(SETTINGS_BYTES + 1).into();
        for (manifest, part) in [
            (json!([]), "cannot be read"),
            (json!({"schemaVersion": 2, "manifests": []}), "index of several"),
            (with(json!([])), "one layer"),
            (with(json!([layer, layer])), "one layer"),
            (other("mediaType", "application/vnd.oci.image.layer.v1.tar".into()), "one layer"),
            (other("digest", "sha256:12".into()), "SHA-256"),
            (other("digest", format!("sha512:{}", "0a".repeat(64)).into()), "SHA-256"),
            (other("size", (-1).into()), "negative"),
            (other("size", 1001.into()), "more than 1000 bytes"),
            (large, "settings file has more than"),
        ] {
            let error = read_manifest(manifest.to_string().as_bytes(), LIMIT).unwrap_err();
            assert!(error.to_string().contains(part), "{error}: {manifest}");
        }
        let error = read_manifest(b"<html>", LIMIT).unwrap_err().to_string();
        assert!(error.contains("not JSON"), "{error}");
    }
}
