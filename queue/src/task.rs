//! Tasks, results and statuses, and their JSON form, which is the contract between all processes.

pub(crate) mod lane;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::json::Members;

pub use lane::Lane;

/// Longest name of a task type, in bytes.
pub const MAX_TASK_TYPE_BYTES: usize = 64;
/// Longest task id, in bytes: a tag, a UUID, and room for other producers' ids.
pub const MAX_TASK_ID_BYTES: usize = 160;

/// What kind of work a task is: lower case letters, digits and `_`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskType(String);

/// A name that cannot be a task type.
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

/// A task's name in every process: its lane as a Cluster hash tag, then a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

/// A text that cannot be a task id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a task id: it takes 1 to 160 printable ASCII characters without spaces, `#` and `|`")]
pub struct InvalidTaskId;

impl TaskId {
    /// A new id that sorts by time.
    pub fn new(lane: &Lane) -> Self {
        Self(format!("{{{lane}}}{}", Uuid::now_v7()))
    }

    /// The id that the same `name` always gives. What causes a task names it, for instance a bot and an update, so
    /// that the same cause seen twice is the same task.
    pub fn from_cause(lane: &Lane, name: &str) -> Self {
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        Self(format!("{{{lane}}}{uuid}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lane in the id's tag; none for an id that another producer made up.
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

fn first_attempt() -> u32 {
    1
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The task's name.
    pub task_id: TaskId,
    /// Who asked: the messenger's numeric user id.
    pub user_id: i64,
    /// What to do.
    pub task_type: TaskType,
    /// With what: a JSON object that the plugin's schema describes.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// When it was asked, in milliseconds since 1970 by the submitter's clock. For people; nothing is decided by it.
    #[serde(default)]
    pub submitted_at: u64,
    /// When the person is told at the latest, in milliseconds since 1970 by the submitter's clock. The binding
    /// deadline is kept by Redis' clock.
    #[serde(default)]
    pub deadline_at: u64,
    /// 1 for the first attempt.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// Where the answer goes: whatever the submitter wants back with it. Absent when somebody waits for the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Value>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Task {
    /// A task with a new id and the default deadline, to be answered to whoever waits for it.
    pub fn new(task_type: TaskType, user_id: i64, params: Map<String, Value>) -> Self {
        Self {
            task_id: TaskId::new(&Lane::whole(&task_type)),
            user_id,
            task_type,
            params,
            submitted_at: 0,
            deadline_at: 0,
            attempt: 1,
            reply_to: None,
            traceparent: None,
        }
    }

    /// What can still be made out of a task's JSON that cannot be read: who asked, and where the answer goes. For telling
    /// them; it must not be run.
    pub(crate) fn salvage(json: &[u8]) -> Option<Self> {
        let members = Members::of(json).ok()?;
        let (task_id, task_type) = (members.need("task_id").ok()?, members.need("task_type").ok()?);
        let user_id = members.may("user_id").unwrap_or(0);
        let reply_to = members.may("reply_to");
        Some(Self { task_id, reply_to, ..Self::new(task_type, user_id, Map::new()) })
    }
}

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

    /// No answer, and why. `code` is one of [`crate::error::FAILURE_CODES`].
    pub fn failure(code: &str, error: impl Into<String>) -> Self {
        let mut metadata = Map::new();
        metadata.insert("code".to_owned(), code.into());
        metadata.insert("retryable".to_owned(), false.into());
        Self {
            success: false,
            data: Value::Null,
            error: Some(error.into()),
            metadata,
            completed_at: now_ms(),
        }
    }

    /// The failure's code, when there is one.
    pub fn code(&self) -> Option<&str> {
        self.metadata.get("code").and_then(Value::as_str)
    }
}

/// Where a task is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Accepted, waiting for a worker.
    Pending,
    /// A worker holds it.
    Processing,
    /// It failed and will be tried again.
    Retrying,
    /// It has an answer.
    Completed,
    /// It failed for good.
    Failed,
    /// Its deadline passed.
    Timeout,
    /// Somebody stopped it.
    Cancelled,
}

impl TaskStatus {
    /// The word that stands in Redis.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will change any more.
    pub fn final_state(self) -> bool {
        match self {
            Self::Pending | Self::Processing | Self::Retrying => false,
            Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled => true,
        }
    }
}

impl FromStr for TaskStatus {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "pending" => Ok(Self::Pending),
            "processing" => Ok(Self::Processing),
            "retrying" => Ok(Self::Retrying),
            "completed" => Ok(Self::Completed),
            "failed" => Ok(Self::Failed),
            "timeout" => Ok(Self::Timeout),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err(()),
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// This machine's clock in milliseconds since 1970. For texts and metadata only.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
