//! The record of changes: who did what, when, and to how many. A capped stream in Redis.
//!
//! A change is recorded before it is made, and is not made when it cannot be recorded. What came of a change to many tasks
//! is a second entry.

use queue::TaskQueue;
use redis::RedisResult;
use redis::streams::StreamRangeReply;

use super::guard::Address;
use super::sessions::Viewer;
use crate::keys::CoordinatorKeys;

/// About how many entries are kept: a hundred a day for three months.
const MAX_ENTRIES: usize = 10_000;
/// Longest text of a field.
const FIELD_LETTERS: usize = 300;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// When, in milliseconds since 1970 by Redis' clock; 0 before it is recorded.
    pub(super) at: u64,
    /// As they call themselves.
    pub(super) who: String,
    /// The role of their token.
    pub(super) role: String,
    /// The address that they came from.
    pub(super) from: String,
    pub(super) action: String,
    pub(super) target: String,
}

impl Entry {
    pub(super) fn new(viewer: &Viewer, from: Address, action: &str, target: &str) -> Self {
        let short = |text: &str| text.chars().take(FIELD_LETTERS).collect();
        Self {
            at: 0,
            who: short(&viewer.name),
            role: viewer.role.as_str().to_owned(),
            from: from.to_string(),
            action: short(action),
            target: short(target),
        }
    }
}

/// Appends an entry.
pub(super) async fn record(queue: &TaskQueue, entry: &Entry) -> RedisResult<()> {
    tracing::info!(
        who = entry.who,
        role = entry.role,
        from = entry.from,
        action = entry.action,
        target = entry.target,
        "dashboard"
    );
    let of_whom = ["who", &entry.who, "role", &entry.role, "from", &entry.from];
    let what = ["action", &entry.action, "target", &entry.target];
    // A full server takes it, so that what frees memory can be done.
    let entry = ("MAXLEN", "~", MAX_ENTRIES, "*", &of_whom, &what);
    queue.write_even_when_full("XADD", queue.keys().audit(), entry).await
}

/// The last `count` entries, newest first.
pub(super) async fn last(queue: &TaskQueue, count: usize) -> RedisResult<Vec<Entry>> {
    let read: StreamRangeReply = redis::cmd("XREVRANGE")
        .arg(queue.keys().audit())
        .arg(&["+", "-", "COUNT"])
        .arg(count)
        .query_async(&mut queue.connection())
        .await?;
    let entries = read.ids.iter().map(|entry| {
        let text = |name: &str| entry.get::<String>(name).unwrap_or_default();
        let at = entry.id.split('-').next().and_then(|ms| ms.parse().ok());
        Entry {
            at: at.unwrap_or_default(),
            who: text("who"),
            role: text("role"),
            from: text("from"),
            action: text("action"),
            target: text("target"),
        }
    });
    Ok(entries.collect())
}
