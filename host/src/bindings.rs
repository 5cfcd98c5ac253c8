//! The contract versions that this host links, and one neutral form of what plugins say.
//!
//! A new contract version becomes a new module beside [`v1`]; the rest of the host sees only the types here.

pub(crate) mod v1;

use std::time::Duration;

use queue::TaskType;
use serde_json::{Map, Value};

/// What a plugin is.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// Its name for itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it handles.
    pub task_types: Vec<DescribedType>,
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
#[derive(Debug, Clone)]
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
