//! What the plugin says about itself.

use kit::text::MAX_ADDRESS_BYTES;
use serde_json::{Value, json};

/// The plugin's name.
pub const NAME: &str = "search";
/// What may grow in the descriptor: how many rows of the catalogue were taken, once that is known.
pub fn extensions(rows: Option<usize>) -> String {
    match rows {
        Some(rows) => json!({"version": 1, "data": {"creators": {"rows": rows}}}).to_string(),
        None => r#"{"version":1}"#.to_owned(),
    }
}

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
pub fn version() -> String {
    if cfg!(feature = "marked") { "1.0.0+marked".to_owned() } else { "1.0.0".to_owned() }
}

/// Name, summary and params schema of each task type.
pub fn task_types() -> Vec<(&'static str, &'static str, Value)> {
    // No least length: to who sends nothing, the plugin says in plain words what is wanted.
    let query = json!({"type": "string", "maxLength": MAX_QUERY_CHARS});
    vec![
        (
            "search_creator",
            "Finds creators by name, alias, part of a name or a name with typing mistakes.",
            json!({
                "type": "object",
                "required": ["query"],
                "properties": {
                    "query": query,
                    "filters": {"type": "object", "maxProperties": 16},
                    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
                },
            }),
        ),
        (
            "search_simpcity",
            "Asks the operator's forum through its official API.",
            json!({
                "type": "object",
                "required": ["query"],
                "properties": {
                    "query": query,
                    "page": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
                },
            }),
        ),
        (
            "get_random_creator",
            "Picks a creator with enough items by chance. `exclude` names those that were shown, the last one last.",
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
            }),
        ),
    ]
}
