//! Checks a candidate: is it signed, is it allowed by the settings and the rollbacks so far, is its file well formed, are
//! its imports granted, are its schemas usable?

mod contract;
pub(super) mod signature;
pub(super) mod structure;

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use queue::TaskType;

use self::structure::{Outline, StructureError};
use crate::archive::VersionArchive;
use crate::bindings::schema::ParamsSchema;
use crate::bindings::{Descriptor, commands};
use crate::error::LoadError;
use crate::plugin::read::ComponentFile;
use crate::plugin_config::PluginConfig;
use crate::version::id::VersionId;

/// Refuses a component that the settings do not pin, or that was rolled back with the same settings.
pub(super) async fn check_allowed(
    file: &ComponentFile,
    config: &PluginConfig,
    archive: Option<&VersionArchive>,
) -> Result<(), LoadError> {
    let plugin = file.plugin.clone();
    let digest = &file.digest;
    if let Some(pinned) = config.swap.digest.clone().filter(|_| !config.swap.accepts(digest)) {
        return Err(LoadError::Pinned { plugin, digest: digest.clone(), pinned });
    }
    let Some(archive) = archive.cloned() else { return Ok(()) };
    let id = VersionId::new(digest, &config.source);
    let reading = tokio::task::spawn_blocking(move || archive.rejection(&plugin, &id));
    match reading.await.ok().flatten() {
        None => Ok(()),
        Some(rejection) => Err(LoadError::RolledBack {
            plugin: file.plugin.clone(),
            failed: rejection.failed,
            ended: rejection.ended,
        }),
    }
}

/// Reads the names of a component's imports and exports. Refuses a file that is not well formed or too complex for the
/// compiler.
pub(super) async fn check_structure(path: &Path, wasm: Bytes) -> Result<Outline, LoadError> {
    let path = path.to_owned();
    if let Some(problem) = no_component(&wasm) {
        return Err(LoadError::Compile { path, source: wasmtime::Error::msg(problem) });
    }
    let checked = tokio::task::spawn_blocking(move || structure::check(&wasm)).await;
    let source = match checked {
        Ok(Ok(outline)) => return Ok(outline),
        Ok(Err(StructureError::TooMany { what, limit })) => {
            return Err(LoadError::Shape { path, what, limit });
        }
        Ok(Err(StructureError::Malformed(error))) => {
            wasmtime::Error::new(error).context("it is damaged or cut off; build or copy it again")
        }
        Err(error) => wasmtime::Error::msg(format!("checking it panicked: {error}")),
    };
    Err(LoadError::Compile { path, source })
}

/// What a file is instead of a component, and what to do; none when it begins as a component does.
fn no_component(wasm: &[u8]) -> Option<&'static str> {
    if wasm.is_empty() {
        return Some("the file is empty; build or copy it again");
    }
    if wasmparser::Parser::is_core_wasm(wasm) {
        return Some(
            "this is a module, not a component; build it for the target wasm32-wasip2, or make a component of it with \
             `wasm-tools component new`",
        );
    }
    if wasm.starts_with(b"\0asm") {
        return None;
    }
    let start = wasm.get(..MAGIC_SEARCH).unwrap_or(wasm);
    Some(if start.trim_ascii_start().starts_with(b"(") {
        "this is WebAssembly as text; translate it with `wasm-tools parse`"
    } else if start.is_ascii() && !start.contains(&0) {
        "this is a text, not WebAssembly; build the plugin and name the file that the build writes"
    } else {
        "this is not WebAssembly: it does not begin with the bytes `\\0asm`; is it compressed, or another file?"
    })
}

/// How many bytes of a file are looked at to say what it is.
const MAGIC_SEARCH: usize = 256;

/// The refusal of a component whose imports and exports the engine cannot use.
pub(super) fn contract_error(plugin: &str, source: wasmtime::Error) -> LoadError {
    let source = source.context(
        "it takes or gives what the contract does not have; a plugin may import freefans:plugin, WASI 0.2 and, with a \
         grant, wasi:http",
    );
    LoadError::Contract { plugin: plugin.to_owned(), source }
}

/// Refuses a component of another contract, or one that imports HTTP without a grant.
pub(super) fn check_imports(
    plugin: &str,
    outline: &Outline,
    allows_requests: bool,
) -> Result<(), LoadError> {
    contract::check(outline).map_err(|problem| LoadError::Contract {
        plugin: plugin.to_owned(),
        source: wasmtime::Error::msg(problem),
    })?;
    for import in &outline.imports {
        if import.starts_with("wasi:http/") && !allows_requests {
            return Err(LoadError::NotGranted {
                plugin: plugin.to_owned(),
                import: import.clone(),
                grant: "`net = [\"https://host\"]`, or `net = []` to load it with every request refused",
            });
        }
    }
    Ok(())
}

/// Compiles the schemas of a plugin's task types, and tries its commands on them.
pub(super) fn params_schemas(
    plugin: &str,
    descriptor: &Descriptor,
) -> Result<HashMap<TaskType, ParamsSchema>, LoadError> {
    let refusal = |problem: String| LoadError::Description { plugin: plugin.to_owned(), problem };
    let mut schemas = HashMap::new();
    for described in &descriptor.task_types {
        let name = &described.name;
        let schema = ParamsSchema::new(&described.params_schema)
            .map_err(|problem| refusal(format!("the params schema of `{name}`: {problem}")))?;
        if schemas.insert(name.clone(), schema).is_some() {
            return Err(refusal(format!("it names the task type `{name}` twice; keep one")));
        }
    }
    commands::check_params(&descriptor.commands, &schemas).map_err(refusal)?;
    Ok(schemas)
}
