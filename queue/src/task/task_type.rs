//! Names of task types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a task type, in bytes.
pub const MAX_TASK_TYPE_BYTES: usize = 64;

/// The kind of work of a task: lower case letters, digits and `_`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskType(String);

/// A name that is not a valid task type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a task type: it takes 1 to 64 lower case letters, digits and `_`, beginning with a letter"
)]
pub struct InvalidTaskType(String);

impl TaskType {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskType {
    type Err = InvalidTaskType;

    fn from_str(name: &str) -> Result<Self, InvalidTaskType> {
        let valid = name.len() <= MAX_TASK_TYPE_BYTES
            && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !valid {
            return Err(InvalidTaskType(name.chars().take(MAX_TASK_TYPE_BYTES).collect()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for TaskType {
    type Error = InvalidTaskType;

    fn try_from(name: String) -> Result<Self, InvalidTaskType> {
        name.parse()
    }
}

impl From<TaskType> for String {
    fn from(task_type: TaskType) -> Self {
        task_type.0
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
