//! The contract versions that this host links, and one neutral form of what plugins say.
//!
//! A new contract version becomes a new module beside [`v1`]; the rest of the host sees only the types here.

pub(crate) mod commands;
pub(crate) mod schema;
pub(crate) mod v1;

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{OfferedCommand, TaskType};
use serde_json::{Map, Value};

/// Levels of JSON in params and answers. Readers commonly take 128, and a result stands in some levels of its own.
pub(crate) const MAX_LEVELS: usize = 100;

/// Names in a result's metadata that the host alone writes, beside those that begin with `host_`. What a plugin puts under
/// them is dropped.
pub(crate) const HOST_METADATA: &[&str] = &[
    "attempt",
    "code",
    "limits",
    "peak_memory_bytes",
    "plugin",
    "plugin_digest",
    "plugin_version",
    "queue_ms",
    "retryable",
    "run_ms",
    "worker",
];

/// What a plugin is.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// Its name for itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it handles.
    pub task_types: Vec<DescribedType>,
    /// The chat commands that it brings along.
    pub commands: Vec<OfferedCommand>,
    /// How many rows it took of each data file, when it says so; only after `init` it can know.
    pub rows: BTreeMap<String, u64>,
}

/// One task type as a plugin describes it.
#[derive(Debug, Clone)]
pub struct DescribedType {
    /// Its name.
    pub name: TaskType,
    /// What it does, in one sentence.
    pub summary: String,
    /// JSON Schema of the params.
    pub params_schema: Value,
}

/// What a plugin answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Output {
        data: Value,
        metadata: Map<String, Value>,
    },
    Invalid(String),
    NotFound(String),
    Retry {
        reason: String,
        after: Option<Duration>,
    },
    Fatal(String),
    /// The answer breaks the contract, and how.
    Unreadable(String),
}

/// How deep a value is nested: 1 for a number or a text.
pub(crate) fn levels(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => members.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
