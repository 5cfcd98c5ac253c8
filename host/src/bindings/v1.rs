//! `freefans:plugin@1`: generated bindings and conversions. Nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_commands::remarks::{Place, Remarks, quoted};
use queue::TaskType;
use serde_json::{Map, Value};

use super::{
    Answer, DescribedType, Descriptor, HOST_METADATA, MAX_LEVELS, commands, levels, schema,
};

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

/// The contract's version, as in `wit/`.
pub(crate) const VERSION: semver::Version = semver::Version::new(1, 0, 0);
/// What every plugin exports.
pub(crate) const EXPORTS: [&str; 3] = ["describe", "init", "handle"];

/// Longest name and version, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Bounds the work of loading a plugin.
const MAX_TASK_TYPES: usize = 64;
const MAX_SUMMARY_BYTES: usize = 1_024;
const MAX_EXTENSIONS_BYTES: usize = 64 << 10;

/// Checks and converts what `describe` returned. The error says what breaks the contract.
pub(crate) fn descriptor(described: wit::Descriptor) -> Result<Descriptor, String> {
    let wit::Descriptor { name, version, task_types, extensions } = described;
    if !is_name(&name) {
        return Err(format!(
            "its name is `{}`; it must have 1 to {MAX_NAME_BYTES} lower case letters, digits and `-`, beginning with a letter",
            quoted(&name)
        ));
    }
    if !is_version(&version) {
        return Err(format!(
            "its version is `{}`; it must be a semantic version (such as 1.0.0) of at most {MAX_NAME_BYTES} characters",
            quoted(&version)
        ));
    }
    if task_types.is_empty() || task_types.len() > MAX_TASK_TYPES {
        let named = task_types.len();
        return Err(format!("it names {named} task types; it must be 1 to {MAX_TASK_TYPES}"));
    }
    if extensions.len() > MAX_EXTENSIONS_BYTES {
        return Err(format!("`extensions` has more than {MAX_EXTENSIONS_BYTES} bytes"));
    }
    let Ok(Value::Object(extensions)) = serde_json::from_str(&extensions) else {
        return Err("`extensions` is not a JSON object".to_owned());
    };
    let task_types: Vec<DescribedType> =
        task_types.into_iter().map(task_type).collect::<Result<_, _>>()?;
    let own: Vec<TaskType> = task_types.iter().map(|described| described.name.clone()).collect();
    let mut remarks = Remarks::new();
    let place = Place::root("extensions");
    remarks.add_unknown(&extensions, &["version", "commands", "data"], &place);
    let commands = commands::read(&extensions, &own, &mut remarks)?;
    for described in &task_types {
        let name = format!("{}.params-schema", described.name);
        let schema = &described.params_schema;
        schema::keywords::add_unknown(schema, &Place::root(&name), &mut remarks);
    }
    commands::remark_on_params(&commands, &task_types, &mut remarks);
    let rows = rows(&extensions);
    Ok(Descriptor { name, version, task_types, commands, rows, remarks: remarks.into_lines() })
}

/// The rows that a plugin took of its data. Anything of another form is ignored: the contract does not promise it.
fn rows(extensions: &Map<String, Value>) -> BTreeMap<String, u64> {
    let data = match extensions.get("version").and_then(Value::as_u64) {
        Some(1) => extensions.get("data").and_then(Value::as_object),
        _ => None,
    };
    data.into_iter()
        .flatten()
        .filter_map(|(name, facts)| Some((name.clone(), facts.get("rows")?.as_u64()?)))
        .collect()
}

fn is_name(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(rest)
}

/// `MAJOR.MINOR.PATCH`, then optionally `-` and a pre-release, and `+` and build metadata.
fn is_version(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(a, b)| (a, Some(b)));
    let (core, pre_release) = rest.split_once('-').map_or((rest, None), |(a, b)| (a, Some(b)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let words = |part: &str| part.split('.').all(|part| !part.is_empty() && part.bytes().all(word));
    version.len() <= MAX_NAME_BYTES
        && core.split('.').count() == 3
        && core.split('.').all(digits)
        && [pre_release, build].into_iter().flatten().all(words)
}

fn task_type(described: wit::TaskType) -> Result<DescribedType, String> {
    let wit::TaskType { name, summary, params_schema } = described;
    let name: TaskType = name.parse().map_err(|error| format!("{error}"))?;
    if summary.len() > MAX_SUMMARY_BYTES || summary.chars().any(char::is_control) {
        return Err(format!(
            "the summary of `{name}` must be one line of at most {MAX_SUMMARY_BYTES} bytes"
        ));
    }
    let params_schema = schema::read(&params_schema)
        .map_err(|problem| format!("the params schema of `{name}`: {problem}"))?;
    Ok(DescribedType { name, summary, params_schema })
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
    let value = serde_json::from_str(json)
        .map_err(|error| format!("the plugin's {what} is not JSON: {error}"))?;
    if levels(&value) > MAX_LEVELS {
        return Err(format!("the plugin's {what} is nested deeper than {MAX_LEVELS} levels"));
    }
    Ok(value)
}

/// Reads an object, without the names that only the host writes.
fn read_object(json: &str) -> Result<Map<String, Value>, String> {
    match read(json, "metadata")? {
        Value::Object(mut map) => {
            map.retain(|name, _| {
                !HOST_METADATA.contains(&name.as_str()) && !name.starts_with("host_")
            });
            Ok(map)
        }
        _ => Err("the plugin's metadata is not a JSON object".to_owned()),
    }
}

#[cfg(test)]
mod tests;
