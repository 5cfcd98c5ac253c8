//! How a task ended, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task::clock::now_ms;
use crate::task::failure::FailureCode;

/// How a task ended.
///
/// `error` is there exactly when `success` is false; the constructors see to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Whether there is an answer.
    pub success: bool,
    /// The answer; `null` without one.
    #[serde(default)]
    pub data: Value,
    /// Why there is none, in words for a person.
    #[serde(default)]
    pub error: Option<String>,
    /// Who ran it, how long it took, and for a failure its `code` and whether it was `retryable`.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it ended, in milliseconds since 1970 by the worker's clock.
    #[serde(default)]
    pub completed_at: u64,
}

impl TaskResult {
    /// An answer.
    pub fn success(data: Value) -> Self {
        Self { success: true, data, error: None, metadata: Map::new(), completed_at: now_ms() }
    }

    /// No answer, and why.
    pub fn failure(code: FailureCode, error: impl Into<String>) -> Self {
        let mut metadata = Map::new();
        metadata.insert("code".to_owned(), code.as_str().into());
        metadata.insert("retryable".to_owned(), false.into());
        Self {
            success: false,
            data: Value::Null,
            error: Some(error.into()),
            metadata,
            completed_at: now_ms(),
        }
    }

    /// The failure's code as it is written, when there is one.
    pub fn code(&self) -> Option<&str> {
        self.metadata.get("code").and_then(Value::as_str)
    }

    /// The failure's code; none also for one of a later version.
    pub fn failure_code(&self) -> Option<FailureCode> {
        self.code()?.parse().ok()
    }
}
