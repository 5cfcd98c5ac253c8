//! What the plugin says about itself.

use kit::text::MAX_ADDRESS_BYTES;
use serde_json::{Value, json};

use crate::cursor::MAX_TEXT;

/// The plugin's name.
pub const NAME: &str = "content";
/// What may grow in the descriptor: how many rows of the table were taken, once that is known.
pub fn extensions(rows: Option<usize>) -> String {
    match rows {
        Some(rows) => json!({"version": 1, "data": {"content": {"rows": rows}}}).to_string(),
        None => r#"{"version":1}"#.to_owned(),
    }
}
/// Most pages loaded at once.
pub const MAX_PAGES: usize = 10;
/// Pages loaded at once when nothing is asked.
pub const DEFAULT_PAGES: usize = 3;

/// The version.
pub const VERSION: &str = "1.0.0";

/// Name, summary and params schema of each task type.
pub fn task_types() -> Vec<(&'static str, &'static str, Value)> {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 200});
    let url = json!({"type": "string", "minLength": 1, "maxLength": MAX_ADDRESS_BYTES});
    let filters = json!({
        "type": "object",
        "properties": {
            "type": {"enum": ["picture", "video"]},
            "from": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
            "to": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
            "text": {"type": "string", "maxLength": 100},
        },
    });
    vec![
        (
            "load_content",
            "Loads the first page of a creator's items, newest first.",
            json!({
                "type": "object",
                "required": ["creator_name", "creator_url"],
                "properties": {
                    "creator_name": name,
                    "creator_url": url,
                    "filters": filters,
                    "cache_only": {"type": "boolean"},
                },
            }),
        ),
        (
            "load_more_pages",
            "Loads the pages after those that were loaded.",
            json!({
                "type": "object",
                "required": ["creator_name"],
                "properties": {
                    "creator_name": name,
                    "creator_url": url,
                    "filters": filters,
                    "current_content": {"type": "object"},
                    "cursor": {"type": "string", "maxLength": MAX_TEXT},
                    "pages_to_fetch": {"type": "integer", "minimum": 1, "maximum": MAX_PAGES},
                },
            }),
        ),
    ]
}
