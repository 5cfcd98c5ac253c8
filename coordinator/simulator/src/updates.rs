//! Updates that the bot has not confirmed yet.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

/// Updates kept for a bot that does not fetch them.
const KEEP_UPDATES: usize = 100_000;
/// The field of an update that holds its bytes as they were given to [`UpdateQueue::push_raw`].
const RAW: &str = "raw bytes";

/// The queue, oldest first.
#[derive(Debug)]
pub(crate) struct UpdateQueue {
    queue: VecDeque<Value>,
    next_id: i64,
    /// The offset up to which the bot has confirmed updates.
    pub(crate) confirmed: i64,
    /// Kinds of updates that the bot wants; all when it never said.
    pub(crate) allowed: Vec<String>,
}

impl Default for UpdateQueue {
    fn default() -> Self {
        Self { queue: VecDeque::new(), next_id: 1_000, confirmed: 0, allowed: Vec::new() }
    }
}

impl UpdateQueue {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn first(&self) -> Option<&Value> {
        self.queue.front()
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Queues an update and returns its number; none when the bot does not want this kind.
    pub(crate) fn push(&mut self, kind: &str, body: Value) -> Option<i64> {
        let wanted = |wanted: &String| wanted == kind;
        if !self.allowed.is_empty() && !self.allowed.iter().any(wanted) {
            return None;
        }
        let id = self.take_id();
        let mut update = Map::new();
        update.insert("update_id".to_owned(), id.into());
        update.insert(kind.to_owned(), body);
        if self.queue.len() >= KEEP_UPDATES {
            self.queue.pop_front();
        }
        self.queue.push_back(Value::Object(update));
        Some(id)
    }

    /// Queues an update as it is written; `%ID%` in it stands for its number. Returns that.
    pub(crate) fn push_raw(&mut self, json: &[u8]) -> i64 {
        let id = self.take_id();
        let mut raw = Vec::with_capacity(json.len());
        let mut rest = json;
        while let Some(at) = rest.windows(4).position(|window| window == b"%ID%") {
            let (before, after) = rest.split_at(at);
            raw.extend_from_slice(before);
            raw.extend_from_slice(id.to_string().as_bytes());
            rest = after.get(4..).unwrap_or_default();
        }
        raw.extend_from_slice(rest);
        self.queue.push_back(json!({"update_id": id, RAW: raw}));
        id
    }

    /// Confirms updates before `offset` and returns the rest. A negative offset keeps only the last ones.
    pub(crate) fn take(&mut self, offset: i64, limit: usize) -> Vec<Value> {
        if offset < 0 {
            let keep = usize::try_from(-offset).unwrap_or(usize::MAX);
            while self.queue.len() > keep {
                self.queue.pop_front();
            }
        } else {
            while self.queue.front().is_some_and(|update| update_id(update) < offset) {
                self.queue.pop_front();
            }
            self.confirmed = self.confirmed.max(offset);
        }
        self.queue.iter().take(limit).cloned().collect()
    }

    fn take_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

/// An update as the bot gets it.
pub(crate) fn update_json(update: &Value) -> Vec<u8> {
    match update.get(RAW).and_then(|raw| serde_json::from_value(raw.clone()).ok()) {
        Some(raw) => raw,
        None => update.to_string().into_bytes(),
    }
}

/// An update's number.
pub(crate) fn update_id(update: &Value) -> i64 {
    update.get("update_id").and_then(Value::as_i64).unwrap_or(0)
}
