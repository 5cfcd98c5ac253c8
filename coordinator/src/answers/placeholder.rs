//! Placeholders: the message that stands in the chat until the answer replaces it.
//!
//! A task may be answered before its placeholder has reached the chat: whoever delivers the answer waits for the
//! placeholder ([`Placeholders::answered`]), so that there is one message and not two. A placeholder that another process
//! was sending is looked for in the delivery ledger instead.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
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

type Waits = HashMap<TaskId, Arc<Wait>>;

/// Sends placeholders, and knows which tasks of this process are waited for. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Placeholders {
    waits: Arc<Mutex<Waits>>,
    sender: Sender,
    queue: TaskQueue,
    shutdown: Shutdown,
}

impl Placeholders {
    /// Sends through `sender`, and notes what was sent in the ledger of `queue`.
    pub(crate) fn new(sender: Sender, queue: TaskQueue, shutdown: Shutdown) -> Self {
        Self { waits: Arc::default(), sender, queue, shutdown }
    }

    /// Says that `id` is waited for, until the guard is dropped. Its placeholder comes with [`Placeholders::send`], or
    /// [`WaitGuard::settle`] says that none comes.
    pub(crate) fn begin(&self, id: &TaskId) -> WaitGuard {
        let wait = Arc::new(Wait::default());
        // The same update may come again: the first wait stays.
        if let Entry::Vacant(vacant) = self.waits().entry(id.clone()) {
            vacant.insert(Arc::clone(&wait));
        }
        WaitGuard { placeholders: self.clone(), id: id.clone(), wait }
    }

    /// Says that `id`'s answer has come, and waits until its placeholder was sent or given up. Returns the placeholder, unless
    /// another one counts.
    pub(crate) async fn answered(&self, id: &TaskId) -> Option<OwnPlaceholder> {
        let wait = self.waits().get(id).cloned()?;
        wait.placed.cancelled().await;
        wait.answered.cancel();
        if wait.settled.is_cancelled() && wait.recorded.get().is_none() {
            return None;
        }
        let message_id = *wait.sent.get()?;
        Some(OwnPlaceholder { message_id, wait })
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a placeholder in its chat's order and notes it. Returns its message; none when another placeholder counts.
    pub(crate) async fn send(
        &self,
        wait: &WaitGuard,
        ticket: &ChatTicket,
        address: &ChatAddress,
        screen: &Screen,
    ) -> Result<Option<i64>, ShuttingDown> {
        let id = &wait.id;
        let Ok(message_id) = self.send_in_turn(id, ticket, address, screen).await? else {
            wait.settle(None);
            return Ok(None);
        };
        wait.sent(message_id);
        let counts = self.note(address.chat_id, id, message_id).await?;
        let recorded = counts.then_some(message_id);
        wait.settle(recorded);
        Ok(recorded)
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

/// A task that a person waits for.
#[derive(Debug, Default)]
struct Wait {
    /// The placeholder was sent or given up.
    placed: CancellationToken,
    sent: OnceLock<i64>,
    /// It was recorded or given up.
    settled: CancellationToken,
    recorded: OnceLock<i64>,
    /// The answer has come.
    answered: CancellationToken,
}

/// A placeholder that this process has sent, and may be recording.
#[derive(Debug)]
pub(crate) struct OwnPlaceholder {
    /// Its message.
    pub(crate) message_id: i64,
    wait: Arc<Wait>,
}

impl OwnPlaceholder {
    /// Waits until it is recorded. Whether the answer replaces it: another one may have been recorded first.
    pub(crate) async fn counts(&self) -> bool {
        self.wait.settled.cancelled().await;
        self.wait.recorded.get() == Some(&self.message_id)
    }
}

/// Says that a task is waited for, until it is dropped.
#[derive(Debug)]
pub(crate) struct WaitGuard {
    placeholders: Placeholders,
    id: TaskId,
    wait: Arc<Wait>,
}

impl WaitGuard {
    fn sent(&self, message_id: i64) {
        self.wait.sent.get_or_init(|| message_id);
        self.wait.placed.cancel();
    }

    /// Says that the placeholder was recorded as this message, or that none comes.
    pub(crate) fn settle(&self, recorded: Option<i64>) {
        if let Some(message_id) = recorded {
            self.wait.recorded.get_or_init(|| message_id);
        }
        self.wait.settled.cancel();
        self.wait.placed.cancel();
    }

    /// Fires when this process has the answer.
    pub(crate) fn answered(&self) -> &CancellationToken {
        &self.wait.answered
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut waits = self.placeholders.waits();
        if waits.get(&self.id).is_some_and(|known| Arc::ptr_eq(known, &self.wait)) {
            waits.remove(&self.id);
        }
        drop(waits);
        self.settle(None);
    }
}
