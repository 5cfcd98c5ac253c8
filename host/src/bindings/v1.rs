//! `freefans:plugin@1`: generated bindings, the host's side of its imports, and conversions. Nothing else.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Answer, DescribedType, Descriptor};

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        imports: {
            "freefans:plugin/cache": async,
            "freefans:plugin/progress": async,
            default: trappable,
        },
        exports: { default: async },
    });
}

pub(crate) use generated::freefans::plugin::types::{Failure, Output, Task};
pub(crate) use generated::freefans::plugin::{cache, config, data, log, progress};
pub(crate) use generated::{Plugin, PluginPre};

use generated::freefans::plugin::types as wit;

/// Checks and converts what `describe` returned. The error says what breaks the contract.
pub(crate) fn descriptor(described: wit::Descriptor) -> Result<Descriptor, String> {
    let wit::Descriptor { name, version, task_types, extensions } = described;
    if name.is_empty() || 64 < name.len() {
        return Err("its name must have 1 to 64 characters".to_owned());
    }
    if version.is_empty() || 64 < version.len() {
        return Err("its version must have 1 to 64 characters".to_owned());
    }
    if task_types.is_empty() {
        return Err("it names no task type".to_owned());
    }
    if !matches!(serde_json::from_str(&extensions), Ok(Value::Object(_))) {
        return Err("`extensions` is not a JSON object".to_owned());
    }
    let task_types = task_types.into_iter().map(task_type).collect::<Result<_, _>>()?;
    Ok(Descriptor { name, version, task_types })
}

fn task_type(described: wit::TaskType) -> Result<DescribedType, String> {
    let name = described.name.parse().map_err(|error| format!("{error}"))?;
    let params_schema = serde_json::from_str(&described.params_schema)
        .map_err(|error| format!("the params schema of `{name}` is not JSON: {error}"))?;
    Ok(DescribedType { name, summary: described.summary, params_schema })
}

/// Converts what `handle` returned.
pub(crate) fn answer(handled: Result<Output, Failure>) -> Answer {
    match handled {
        Ok(Output { data, metadata }) => match (read(&data, "data"), read_object(&metadata)) {
            (Ok(data), Ok(metadata)) => Answer::Output { data, metadata },
            (Err(reason), _) | (_, Err(reason)) => Answer::Unreadable(reason),
        },
        Err(Failure::Invalid(reason)) => Answer::Invalid(reason),
        Err(Failure::NotFound(reason)) => Answer::NotFound(reason),
        Err(Failure::Fatal(reason)) => Answer::Fatal(reason),
        Err(Failure::Retry(retry)) => {
            Answer::Retry { reason: retry.reason, after: retry.after_ms.map(Duration::from_millis) }
        }
    }
}

fn read(json: &str, what: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| format!("the plugin's {what} is not JSON: {error}"))
}

fn read_object(json: &str) -> Result<Map<String, Value>, String> {
    match read(json, "metadata")? {
        Value::Object(map) => Ok(map),
        _ => Err("the plugin's metadata is not a JSON object".to_owned()),
    }
}
