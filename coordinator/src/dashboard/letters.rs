//! Dead letters, read in pieces and grouped.

use queue::{DeadLetter, RedisError, TaskQueue, TaskType};
use serde_json::Value;

/// Letters in one call. Each holds a whole task, and Redis does nothing else meanwhile.
const AT_ONCE: usize = 100;

/// The newest dead letters of a type, at most `max`.
pub(super) async fn newest(
    queue: &TaskQueue,
    task_type: &TaskType,
    max: usize,
) -> Result<Vec<DeadLetter>, RedisError> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    while letters.len() < max {
        let before = letters.last().map(|letter| letter.entry.clone());
        let room = AT_ONCE.min(max - letters.len());
        let more = queue.dead_letters_before(task_type, before.as_deref(), room).await?;
        if more.is_empty() {
            break;
        }
        letters.extend(more);
    }
    Ok(letters)
}

/// The reason and the version by which dead letters are grouped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) code: String,
    pub(super) version: String,
}

impl Group {
    pub(super) fn of(letter: &DeadLetter) -> Self {
        let meta = |name: &str| {
            let value = letter.result.as_ref().and_then(|result| result.metadata.get(name));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let version = match (meta("plugin"), meta("plugin_version")) {
            (Some(plugin), Some(version)) => format!("{plugin} {version}"),
            _ => "unknown".to_owned(),
        };
        Self { code: meta("code").unwrap_or_else(|| "unknown".to_owned()), version }
    }
}

/// Why a task failed, in the plugin's or the worker's words.
pub(super) fn reason(letter: &DeadLetter) -> &str {
    letter.result.as_ref().and_then(|result| result.error.as_deref()).unwrap_or_default()
}
