//! The result of a task.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task::clock::now_ms;
use crate::task::failure::FailureCode;

/// The name in a result's metadata under which the worker says how the last request to another server ended, if it failed.
pub const FAILED_REQUEST: &str = "host_failed_request";

/// The result of a task.
///
/// `error` is present exactly when `success` is false; the constructors ensure this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Whether the task succeeded.
    pub success: bool,
    /// The answer; `null` after a failure.
    #[serde(default)]
    pub data: Value,
    /// The reason of a failure, for a person.
    #[serde(default)]
    pub error: Option<String>,
    /// The worker, the run time, and for a failure its `code` and whether it was `retryable`.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When the task ended, in milliseconds since 1970 by the worker's clock.
    #[serde(default)]
    pub completed_at: u64,
}

impl TaskResult {
    /// A success with an answer.
    pub fn success(data: Value) -> Self {
        Self { success: true, data, error: None, metadata: Map::new(), completed_at: now_ms() }
    }

    /// A failure with its code and reason.
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

    /// The failure's code as text; none for a success.
    pub fn code(&self) -> Option<&str> {
        self.metadata.get("code").and_then(Value::as_str)
    }

    /// How the last request to another server ended, if it failed, for an operator: `https://forum.example answered 429`.
    pub fn failed_request(&self) -> Option<&str> {
        self.metadata.get(FAILED_REQUEST).and_then(Value::as_str)
    }

    /// The failure's code; none also for a code of a later version.
    pub fn failure_code(&self) -> Option<FailureCode> {
        self.code()?.parse().ok()
    }
}
