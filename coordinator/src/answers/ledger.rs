//! The delivery ledger: whether a task's answer was sent, and which message it replaces.
//!
//! Every coordinator may deliver an answer, so the record is in Redis. The delivery state is written by the queue
//! ([`queue::DeliveryState`]); the placeholder is the coordinator's own.

use std::sync::LazyLock;

use futures::FutureExt;
use futures::future::BoxFuture;
use queue::{DeliveryState, RedisError, Script, TaskId, TaskQueue};

use crate::keys::CoordinatorKeys;

/// How long an announced placeholder is waited for, in seconds: several times as long as its sender takes to announce it again.
const ANNOUNCED_SECONDS: u64 = 5;

static RECORD_PLACEHOLDER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("placeholder.lua")));

/// What is recorded about one task's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LedgerEntry {
    /// None for a task that wants no reply, or whose record has expired.
    pub(crate) state: Option<DeliveryState>,
    /// The placeholder message, once it was sent.
    pub(crate) message_id: Option<i64>,
    /// A coordinator is about to send the placeholder ([`announce_placeholder`]).
    pub(crate) announced: bool,
}

impl LedgerEntry {
    fn read(state: Option<&[u8]>, message_id: Option<&[u8]>) -> Self {
        let message_id = message_id.and_then(|bytes| str::from_utf8(bytes).ok()?.parse().ok());
        Self { state: state.and_then(DeliveryState::read), message_id, announced: false }
    }

    /// Whether the answer was sent.
    pub(crate) fn delivered(&self) -> bool {
        self.state == Some(DeliveryState::Delivered)
    }
}

/// What is recorded about the answer of `id`.
pub(crate) async fn read(queue: &TaskQueue, id: &TaskId) -> Result<LedgerEntry, RedisError> {
    type Found = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
    let keys = queue.keys();
    let (state, message_id, announced): Found = redis::cmd("MGET")
        .arg(keys.reply(id))
        .arg(keys.placeholder(id))
        .arg(keys.placing(id))
        .query_async(&mut queue.connection())
        .await
        .map_err(|source| RedisError { action: "read the delivery ledger", source })?;
    let entry = LedgerEntry::read(state.as_deref(), message_id.as_deref());
    Ok(LedgerEntry { announced: announced.is_some(), ..entry })
}

/// Records for a few seconds that this process is about to send the placeholder. A coordinator that has the answer waits for it.
pub(crate) async fn announce_placeholder(queue: &TaskQueue, id: &TaskId) -> Result<(), RedisError> {
    let key = queue.keys().placing(id);
    let announced = queue.write_even_when_full("SET", key, (1, "EX", ANNOUNCED_SECONDS)).await;
    announced.map_err(|source| RedisError { action: "announce a placeholder", source })
}

/// Delivery state and message, where they are recorded.
type Texts = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Records the placeholder that the answer replaces, unless one is recorded already. Returns the entry as it is now: its message
/// may be another one.
///
/// Waits until a replica has the record: if a failover lost it, another coordinator would send the answer a second time.
pub(crate) async fn record_placeholder(
    queue: &TaskQueue,
    id: &TaskId,
    message_id: i64,
) -> Result<LedgerEntry, RedisError> {
    let mut call = RECORD_PLACEHOLDER.key(queue.keys().reply(id));
    call.key(queue.keys().placeholder(id));
    call.arg(message_id).arg(queue.config().keep_ledger.as_secs());
    let write = || async { call.run(&mut queue.connection()).await };
    let recorded: redis::RedisResult<Texts> = match id.lane() {
        Some(lane) => queue.write_replicated(&lane, write).await,
        None => write().await,
    };
    let (state, recorded) =
        recorded.map_err(|source| RedisError { action: "record a placeholder", source })?;
    let entry = LedgerEntry::read(state.as_deref(), recorded.as_deref());
    if let Some(message_id) = entry.message_id {
        let of_task = id.clone();
        // A server that lost the task lost this record as well. Its answer may come as soon as it is submitted again.
        queue.before_resubmit(id, move |queue| record_again(queue, of_task.clone(), message_id));
    }
    Ok(entry)
}

fn record_again(
    queue: TaskQueue,
    id: TaskId,
    message_id: i64,
) -> BoxFuture<'static, Result<(), RedisError>> {
    async move { record_placeholder(&queue, &id, message_id).await.map(drop) }.boxed()
}

#[cfg(test)]
mod tests;
