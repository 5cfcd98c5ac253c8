//! Task ids: random ones, and those derived from a cause.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::task::lane::Lane;

/// Longest task id, in bytes: a tag, a UUID, and room for other producers' ids.
pub const MAX_TASK_ID_BYTES: usize = 160;

/// A task's id: its lane as a Cluster hash tag, then a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

/// A text that is not a valid task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a task id: it takes 1 to 160 printable ASCII characters without spaces, `#` and `|`")]
pub struct InvalidTaskId;

impl TaskId {
    /// A new id that sorts by time.
    pub fn new(lane: &Lane) -> Self {
        Self(format!("{{{lane}}}{}", Uuid::now_v7()))
    }

    /// The id derived from `name`, which identifies the cause of the task, for instance a bot and an update. The same cause
    /// always gives the same id.
    pub fn from_cause(lane: &Lane, name: &str) -> Self {
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Self(format!("{{{lane}}}{uuid}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lane in the id's tag; none for an id that another producer chose.
    pub fn lane(&self) -> Option<Lane> {
        let (tag, _) = self.0.strip_prefix('{')?.split_once('}')?;
        tag.parse().ok()
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let valid = !text.is_empty()
            && text.len() <= MAX_TASK_ID_BYTES
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'|');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidTaskId) }
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: String) -> Result<Self, InvalidTaskId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
