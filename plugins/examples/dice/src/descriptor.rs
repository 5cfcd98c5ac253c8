//! What the plugin says about itself.

use serde_json::{Value, json};

/// The plugin's name.
pub const NAME: &str = "dice";
/// Its version: raise it with each change, so that the history of swaps can be read.
pub const VERSION: &str = "1.0.0";
/// The one task that it handles.
pub const TASK_TYPE: &str = "roll_dice";
/// What that task does.
pub const SUMMARY: &str = "Rolls dice, for instance 2d6+1.";

/// What is rolled when nothing is said.
pub const DEFAULT: &str = "1d6";
/// Longest text that is read, in characters.
pub const MAX_CHARS: usize = 32;

/// The schema of the params. The host refuses a task that does not fit.
pub fn params_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "dice": {"type": "string", "maxLength": MAX_CHARS},
            "lang": {"type": "string", "maxLength": 2},
        },
    })
}

/// The chat command: `/roll 2d6` becomes a task with the params `{"dice": "2d6", "lang": "en"}`.
pub fn extensions() -> Value {
    json!({
        "version": 1,
        "commands": [{
            "name": "roll",
            "description": "Roll dice, for instance 2d6+1",
            "descriptions": {"de": "Würfelt, zum Beispiel 2d6+1"},
            "task_type": TASK_TYPE,
            "argument": {"param": "dice", "required": false, "example": "2d6+1"},
            "language_param": "lang",
        }],
    })
}
