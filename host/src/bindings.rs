//! The contract versions that this host supports, and the types of all versions.
//!
//! A new contract version becomes a new module beside [`v1`]. The rest of the host uses only the types here.

pub(crate) mod commands;
pub(crate) mod schema;
pub(crate) mod v1;

use std::collections::BTreeMap;
use std::time::Duration;

use chat_commands::OfferedCommand;
use queue::TaskType;
use serde_json::{Map, Value};

/// Nesting levels of JSON in params and answers. Parsers commonly allow 128, and a stored result adds a few.
pub(crate) const MAX_LEVELS: usize = 100;

/// Names in a result's metadata that only the host writes, as well as names that begin with `host_`. A plugin's values
/// under these names are dropped.
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

/// What `describe` returned.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// The plugin's own name.
    pub name: String,
    /// The plugin's own version number.
    pub version: String,
    /// The task types that it handles.
    pub task_types: Vec<DescribedType>,
    /// Its chat commands.
    pub commands: Vec<OfferedCommand>,
    /// The number of rows that it read from each data file, if it reports that. Known only after `init`.
    pub rows: BTreeMap<String, u64>,
    /// Parts of it that are ignored, for its author and the operator.
    pub remarks: Vec<String>,
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

/// What `handle` returned.
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
    /// The answer breaks the contract; the text says how.
    Unreadable(String),
}

/// Nesting levels of a value: 1 for a number or a text.
pub(crate) fn levels(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => members.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
