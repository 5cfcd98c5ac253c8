//! What the plugin says about itself.

use freefans_plugin::text::MAX_ADDRESS_BYTES;
use serde_json::{Map, Value, json};

use crate::cursor::MAX_TEXT;

/// The plugin's name.
pub const NAME: &str = "content";
/// Most pages loaded at once.
pub const MAX_PAGES: usize = 10;
/// Pages loaded at once when nothing is asked.
pub const DEFAULT_PAGES: usize = 3;

/// The version.
pub const VERSION: &str = "1.0.0";

/// What the first page is called by.
pub const LOAD: &str = "load_content";
/// What it does.
pub const LOAD_SUMMARY: &str = "Loads the first page of a creator's items, newest first.";
/// What further pages are called by.
pub const MORE: &str = "load_more_pages";
/// What they are.
pub const MORE_SUMMARY: &str = "Loads the pages after those that were loaded.";

/// The schema of the params of [`LOAD`].
pub fn load_params() -> Value {
    let own = [("cache_only", json!({"type": "boolean"}))];
    json!({
        "type": "object",
        "required": ["creator_name", "creator_url"],
        "properties": properties(own),
    })
}

/// The schema of the params of [`MORE`].
pub fn more_params() -> Value {
    let own = [
        ("current_content", json!({"type": "object"})),
        ("cursor", json!({"type": "string", "maxLength": MAX_TEXT})),
        ("pages_to_fetch", json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGES})),
    ];
    json!({"type": "object", "required": ["creator_name"], "properties": properties(own)})
}

/// What both take, and what one takes of its own.
fn properties<const N: usize>(own: [(&str, Value); N]) -> Map<String, Value> {
    let day = json!({"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"});
    let filters = json!({
        "type": {"enum": ["picture", "video"]},
        "from": day,
        "to": day,
        "text": {"type": "string", "maxLength": 100},
    });
    let shared = [
        ("creator_name", json!({"type": "string", "minLength": 1, "maxLength": 200})),
        ("creator_url", json!({"type": "string", "minLength": 1, "maxLength": MAX_ADDRESS_BYTES})),
        ("filters", json!({"type": "object", "properties": filters})),
    ];
    shared.into_iter().chain(own).map(|(name, schema)| (name.to_owned(), schema)).collect()
}
