//! Whether a task's answer was sent.

use crate::client::task_queue::TaskQueue;
use crate::error::RedisError;
use crate::outbox::reply::{GROUP, Reply};
use crate::task::TaskId;

/// Whether the answer of a task that wants a reply was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not yet.
    Pending,
    /// The messenger accepted it, or it can never be sent.
    Delivered,
}

impl DeliveryState {
    /// Reads the value of [`crate::Keys::reply`]; none when no script of this version wrote it.
    pub fn read(stored: &[u8]) -> Option<Self> {
        match stored {
            b"pending" => Some(Self::Pending),
            b"delivered" => Some(Self::Delivered),
            _ => None,
        }
    }
}

/// How an answer left the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The messenger accepted it.
    Shown,
    /// It can never be sent: the chat is gone, or the task has no usable address.
    Undeliverable,
}

impl TaskQueue {
    /// Removes an answer from the outbox because the messenger accepted it, or never will; marks it as delivered, and counts it.
    ///
    /// # Errors
    ///
    /// Redis does not answer. Calling again is safe.
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
        self.resubmit_buffer(|buffer| buffer.remove(&reply.task.task_id));
        Ok(())
    }

    /// Notes for the history that an answer left the outbox, and which message shows it.
    pub fn note_delivered(&self, reply: &Reply, how: Delivered, message_id: Option<i64>) {
        if let Some(history) = &self.history {
            history.note_delivered(reply, how, message_id);
        }
    }

    /// Whether a task's answer was sent; none for a task that wants no reply, or whose record has expired.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn delivery_state(&self, id: &TaskId) -> Result<Option<DeliveryState>, RedisError> {
        let stored: Option<Vec<u8>> = redis::cmd("GET")
            .arg(self.keys.reply(id))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(RedisError::during("read the delivery state"))?;
        Ok(stored.as_deref().and_then(DeliveryState::read))
    }
}
