//! The ledger: what was sent, and which message the answer replaces.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::outbox::reply::{GROUP, Reply};
use crate::task::TaskId;

/// How long it counts that somebody is about to send a placeholder, in seconds: some times as long as they take to say so
/// again.
const PLACING_SECONDS: u64 = 5;

/// What the ledger knows about one task's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerEntry {
    /// `pending` from the submit on, `delivered` once the messenger accepted the answer.
    pub state: Option<String>,
    /// The placeholder message, once it was sent.
    pub message_id: Option<i64>,
    /// Whether somebody is about to send the placeholder ([`TaskQueue::note_placing`]).
    pub being_placed: bool,
}

impl LedgerEntry {
    fn from_texts((state, message): (Option<Vec<u8>>, Option<Vec<u8>>)) -> Self {
        let text = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let message_id = text(message).and_then(|text| text.parse().ok());
        Self { state: text(state), message_id, ..Self::default() }
    }

    /// Whether the answer was sent.
    pub fn delivered(&self) -> bool {
        self.state.as_deref() == Some("delivered")
    }
}

/// How an answer left the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The messenger accepted it.
    Shown,
    /// It never will: the chat is gone, or the answer says not where it goes.
    Undeliverable,
}

impl TaskQueue {
    /// Takes an answer out of the outbox because the messenger accepted it (or never will), notes it in the ledger and
    /// counts it.
    ///
    /// # Errors
    ///
    /// When Redis does not answer. Calling again is safe.
    pub async fn acknowledge(&self, reply: &Reply, how: Delivered) -> Result<(), RedisError> {
        let counter = match how {
            Delivered::Shown => "delivered",
            Delivered::Undeliverable => "undeliverable",
        };
        let _removed: i64 = self
            .scripts
            .acknowledge
            .key(self.keys.replies(&reply.lane))
            .key(self.keys.reply(&reply.task.task_id))
            .key(self.keys.meta(&reply.lane))
            .arg(&reply.entry)
            .arg(GROUP)
            .arg(self.config.keep_ledger.as_secs())
            .arg(counter)
            .run(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("acknowledge an answer"))?;
        self.recent(|recent| recent.forget(&reply.task.task_id));
        Ok(())
    }

    /// What is known about the delivery of a task's answer.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn ledger(&self, id: &TaskId) -> Result<LedgerEntry, RedisError> {
        type Found = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
        let (state, message, placing): Found = redis::cmd("MGET")
            .arg(self.keys.reply(id))
            .arg(self.keys.placeholder(id))
            .arg(self.keys.placing(id))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the delivery ledger"))?;
        let known = LedgerEntry::from_texts((state, message));
        Ok(LedgerEntry { being_placed: placing.is_some(), ..known })
    }

    /// Notes for a few seconds that somebody is about to send the placeholder: whoever has the answer waits for it.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn note_placing(&self, id: &TaskId) -> Result<(), RedisError> {
        self.write_even_when_full("SET", self.keys.placing(id), (1, "EX", PLACING_SECONDS))
            .await
            .map_err(RedisError::during("note that a placeholder comes"))
    }

    /// Notes the placeholder message that the answer will replace, unless one is noted already, and returns what the
    /// ledger says now: the message that counts, which may be another one.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn note_placeholder(
        &self,
        id: &TaskId,
        message_id: i64,
    ) -> Result<LedgerEntry, RedisError> {
        let lane = id.lane();
        // A note that a failover loses would let another coordinator send the answer a second time.
        let mut keeping = lane.as_ref().map(|lane| self.keep(lane));
        let noted = loop {
            let noted: (Option<Vec<u8>>, Option<Vec<u8>>) = self
                .scripts
                .place
                .key(self.keys.reply(id))
                .key(self.keys.placeholder(id))
                .arg(message_id)
                .arg(self.config.keep_ledger.as_secs())
                .run(&mut self.connection.clone())
                .await
                .map_err(RedisError::during("note the placeholder"))?;
            let kept = match &mut keeping {
                Some(keeping) => keeping.kept().await,
                None => Ok(true),
            };
            if kept.map_err(RedisError::during("let a replica know of the placeholder"))? {
                break noted;
            }
        };
        let ledger = LedgerEntry::from_texts(noted);
        self.recent(|recent| recent.note_placeholder(id, ledger.message_id));
        Ok(ledger)
    }
}
