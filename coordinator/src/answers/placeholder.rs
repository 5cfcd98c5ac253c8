//! Placeholders: the message that stands in the chat until the answer replaces it.
//!
//! A task may be answered before its placeholder has reached the chat: whoever delivers the answer waits for the
//! placeholder ([`Placeholders::settled`]), so that there is one message and not two. A placeholder that another process
//! was sending is looked for in the delivery ledger instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::Either;
use queue::{TaskId, TaskQueue};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ledger;
use crate::chat::address::ChatAddress;
use crate::chat::screen::Screen;
use crate::chat_order::ChatTicket;
use crate::redis_retry;
use crate::telegram::bot_api::BotError;
use crate::telegram::retry::call_until;
use crate::telegram::send::Sender;
use ops::shutdown::{Shutdown, ShuttingDown};

/// A placeholder that was not sent by then is of no use any more; the delivery sends its own.
const PLACEHOLDER_AT_MOST: Duration = Duration::from_secs(10);
/// How often a placeholder that waits for the rate limit is announced in the ledger, and the ledger checked. The first time
/// is before another coordinator that has the answer stops waiting.
const PLACING_SAID_AGAIN: Duration = Duration::from_millis(700);

type InFlight = HashMap<TaskId, CancellationToken>;

/// Sends placeholders, and knows which ones this process is sending. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Placeholders {
    in_flight: Arc<Mutex<InFlight>>,
    sender: Sender,
    queue: TaskQueue,
    shutdown: Shutdown,
}

impl Placeholders {
    /// Sends through `sender`, and notes what was sent in the ledger of `queue`.
    pub(crate) fn new(sender: Sender, queue: TaskQueue, shutdown: Shutdown) -> Self {
        Self { in_flight: Arc::default(), sender, queue, shutdown }
    }

    /// Says that a placeholder for `id` is going to be sent, until the guard is dropped.
    pub(crate) fn begin(&self, id: &TaskId) -> InFlightGuard {
        let over = CancellationToken::new();
        self.in_flight().insert(id.clone(), over.clone());
        InFlightGuard { placeholders: self.clone(), id: id.clone(), over }
    }

    /// Waits until `id`'s placeholder was sent or given up; returns at once when this process is sending none.
    pub(crate) async fn settled(&self, id: &TaskId) {
        let over = self.in_flight().get(id).cloned();
        if let Some(over) = over {
            over.cancelled().await;
        }
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a placeholder in its chat's order and notes it. Returns its message; none when another placeholder counts.
    pub(crate) async fn send(
        &self,
        id: &TaskId,
        ticket: &ChatTicket,
        address: &ChatAddress,
        screen: &Screen,
    ) -> Result<Option<i64>, ShuttingDown> {
        let Ok(message_id) = self.send_in_turn(id, ticket, address, screen).await? else {
            return Ok(None);
        };
        let counts = self.note(address.chat_id, id, message_id).await?;
        Ok(counts.then_some(message_id))
    }

    /// Sends a placeholder in its chat's order, unless there is another one by then. While it waits, the ledger says that it
    /// comes, so that a coordinator that has the answer does not send one too early.
    async fn send_in_turn(
        &self,
        id: &TaskId,
        ticket: &ChatTicket,
        address: &ChatAddress,
        screen: &Screen,
    ) -> Result<Result<i64, BotError>, ShuttingDown> {
        let needless = CancellationToken::new();
        let placing = std::pin::pin!(async {
            ticket.wait().await;
            let until = Instant::now() + PLACEHOLDER_AT_MOST;
            call_until(&self.shutdown, until, || {
                self.sender.send_placeholder(address, screen, &needless)
            })
            .await
        });
        let looking = std::pin::pin!(async {
            loop {
                tokio::time::sleep(PLACING_SAID_AGAIN).await;
                // Redis may be away: try again.
                let entry = ledger::read(&self.queue, id).await.unwrap_or_default();
                if entry.delivered() || entry.message_id.is_some() {
                    return;
                }
                let _ = ledger::announce_placeholder(&self.queue, id).await; // The same.
            }
        });
        match futures::future::select(placing, looking).await {
            Either::Left((placed, _looking)) => placed,
            Either::Right(((), placing)) => {
                // Wait for a call that was made already: its message has to be removed.
                needless.cancel();
                placing.await
            }
        }
    }

    /// Notes in the ledger where the answer goes; removes the placeholder when another one came first or the answer did.
    /// Whether this placeholder counts.
    async fn note(&self, chat_id: i64, id: &TaskId, message_id: i64) -> Result<bool, ShuttingDown> {
        let until = Instant::now() + PLACEHOLDER_AT_MOST;
        loop {
            match ledger::record_placeholder(&self.queue, id, message_id).await {
                Ok(entry) if entry.message_id == Some(message_id) => return Ok(true),
                Ok(_) => {
                    self.remove(chat_id, message_id).await;
                    return Ok(false);
                }
                // It may be noted all the same, and be the answer by now, so it stays.
                Err(error) if until < Instant::now() => {
                    tracing::warn!(error = %error.source, "a placeholder could not be noted");
                    return Ok(false);
                }
                Err(_) => self.shutdown.sleep(redis_retry::PAUSE).await?,
            }
        }
    }

    /// Removes a placeholder that another one or the answer has made needless. One that stays does no harm.
    pub(crate) async fn remove(&self, chat_id: i64, message_id: i64) {
        if let Err(error) = self.sender.delete(chat_id, message_id).await {
            tracing::debug!(error = %error, "a placeholder could not be removed");
        }
    }
}

/// Says that a placeholder is being sent, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    placeholders: Placeholders,
    id: TaskId,
    over: CancellationToken,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.placeholders.in_flight().remove(&self.id);
        self.over.cancel();
    }
}
