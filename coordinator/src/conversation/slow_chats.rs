//! Chats with slow replies, whose updates no longer wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of slow replies of each chat. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlowChats {
    counts: Arc<Mutex<HashMap<i64, usize>>>,
}

/// Counts a slow reply until it is dropped.
#[derive(Debug)]
pub(crate) struct SlowReply {
    slow: SlowChats,
    chat_id: i64,
}

impl SlowChats {
    /// Whether this chat has slow replies.
    pub(crate) fn has(&self, chat_id: i64) -> bool {
        self.counts().contains_key(&chat_id)
    }

    /// Counts another slow reply of this chat.
    pub(crate) fn note(&self, chat_id: i64) -> SlowReply {
        *self.counts().entry(chat_id).or_default() += 1;
        SlowReply { slow: self.clone(), chat_id }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SlowReply {
    fn drop(&mut self) {
        let mut counts = self.slow.counts();
        let left = counts.get(&self.chat_id).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => counts.remove(&self.chat_id),
            left => counts.insert(self.chat_id, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_overdue_until_its_last_reply_is_out() {
        let slow = SlowChats::default();
        let first = slow.note(1);
        let second = slow.note(1);
        drop(first);
        assert!(slow.has(1) && !slow.has(2));
        drop(second);
        assert!(!slow.has(1));
    }
}
