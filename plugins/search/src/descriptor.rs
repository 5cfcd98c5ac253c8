//! What the plugin says about itself.

use freefans_plugin::text::MAX_ADDRESS_BYTES;
use serde_json::{Value, json};

/// The plugin's name.
pub const NAME: &str = "search";
/// Longest query, in characters.
pub const MAX_QUERY_CHARS: usize = 200;
/// Most creators in one answer.
pub const MAX_LIMIT: usize = 50;
/// Creators in one answer when nothing is asked.
pub const DEFAULT_LIMIT: usize = 10;

/// Last page of the extended search.
pub const MAX_PAGE: u64 = 100;

/// Most creators that a random pick can be told to leave out.
pub const MAX_EXCLUDED: usize = 50;

/// The version. A marked build has its own: it is what the tests swap in.
pub fn version() -> &'static str {
    if cfg!(feature = "marked") { "1.0.0+marked" } else { "1.0.0" }
}

/// What the worker is told of a task type.
#[derive(Debug, Clone, Copy)]
pub struct TaskType {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Makes the schema of its params.
    pub schema: fn() -> Value,
}

/// What is handled: by name, in the forum, by chance.
pub const TASK_TYPES: [TaskType; 3] = [
    TaskType {
        name: "search_creator",
        summary: "Finds creators by name, alias, part of a name or a name with typing mistakes.",
        schema: search_params,
    },
    TaskType {
        name: "search_simpcity",
        summary: "Asks the operator's forum through its official API.",
        schema: extended_params,
    },
    TaskType {
        name: "get_random_creator",
        summary: "Picks a creator with enough items by chance. `exclude` names those that were shown, the last one last.",
        schema: random_params,
    },
];

/// No least length: to who sends nothing, the plugin says in plain words what is wanted.
fn query() -> Value {
    json!({"type": "string", "maxLength": MAX_QUERY_CHARS})
}

fn search_params() -> Value {
    json!({
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": query(),
            "filters": {"type": "object", "maxProperties": 16},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        },
    })
}

fn extended_params() -> Value {
    json!({
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": query(),
            "page": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
        },
    })
}

fn random_params() -> Value {
    json!({
        "type": "object",
        "properties": {
            "min_items": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
            "exclude": {
                "type": "array",
                "maxItems": MAX_EXCLUDED,
                "items": {"type": "string", "maxLength": MAX_ADDRESS_BYTES},
            },
        },
    })
}
