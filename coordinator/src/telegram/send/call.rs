//! Makes a call when the rate limit allows it, and shares with all coordinators what its result says about the chat.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::Priority;
use super::local_limiter::LocalRateLimiter;
use super::rate_limit_store::RateLimitStore;
use super::request::SendRequest;
use super::revision::{EditOutcome, EditRequest, InFlightEdit};
use super::scheduler::{self, Decision, Queued};
use crate::chat::address::ChatAddress;
use crate::metrics;
use crate::telegram::bot_api::BotError;

/// How often a migrated group is followed. Telegram migrates a group once.
const MOVES_AT_MOST: usize = 3;
/// Pause before an edit asks Redis again.
const WITHOUT_REDIS: Duration = Duration::from_secs(1);
/// Retry delay reported after the scheduler has stopped; nobody will use it.
const AT_THE_END: Duration = Duration::from_secs(1);

/// Makes calls within the rate limits. Clones share the scheduler.
#[derive(Debug, Clone)]
pub(super) struct LimitedCalls {
    store: Arc<RateLimitStore>,
    local_limiter: Arc<Mutex<LocalRateLimiter>>,
    scheduler: mpsc::Sender<Queued>,
    /// Writes to Redis that edits have arrived, in the background.
    noting: TaskTracker,
}

impl LimitedCalls {
    /// Calls wait in the scheduler at the other end of `scheduler`.
    pub(super) fn new(
        store: Arc<RateLimitStore>,
        local_limiter: Arc<Mutex<LocalRateLimiter>>,
        scheduler: mpsc::Sender<Queued>,
    ) -> Self {
        Self { store, local_limiter, scheduler, noting: TaskTracker::new() }
    }

    /// Waits for the writes in the background.
    pub(super) async fn settle(&self) {
        self.noting.close();
        self.noting.wait().await;
    }

    /// Notes that a chat can be written to, because something came from it.
    pub(super) async fn mark_reachable(&self, chat_id: i64) {
        if let Err(error) = self.store.note_reachable(chat_id).await {
            tracing::debug!(error = %error, "chat not marked as reachable");
        }
    }

    /// Notes that the bot was blocked, or removed from a group.
    pub(super) async fn mark_unreachable(&self, chat_id: i64) {
        if let Err(error) = self.store.note_unreachable(chat_id).await {
            tracing::debug!(error = %error, "chat not marked as unreachable");
        }
    }

    /// Notes that a group migrated to another id.
    pub(super) async fn mark_migrated(&self, from: i64, to: i64) {
        tracing::info!("group migrated to another id");
        if let Err(error) = self.store.note_migrated(from, to).await {
            tracing::warn!(error = %error, "group not marked as migrated");
        }
    }

    /// Makes a call as soon as the rate limit allows it, and notes what its result says about the chat.
    pub(super) async fn call<T, F>(
        &self,
        address: &ChatAddress,
        options: CallOptions<'_>,
        make: impl Fn(ChatAddress) -> F,
    ) -> Result<CallOutcome<T>, BotError>
    where
        F: Future<Output = Result<T, BotError>>,
    {
        let mut address = *address;
        for _ in 0..MOVES_AT_MOST {
            let in_flight = match self.admission(address.chat_id, options).await {
                Decision::Go => None,
                Decision::Begun(in_flight) => Some(in_flight),
                Decision::Busy => return Ok(CallOutcome::Busy),
                Decision::Superseded { by } => return Ok(CallOutcome::Superseded { by }),
                Decision::RetryAfter(wait) => return Err(BotError::RetryAfter(wait)),
                Decision::Drop => return Err(BotError::RateLimited),
                Decision::Unreachable => return Err(BotError::Unreachable),
                Decision::Migrated(chat_id) => {
                    address = followed(&address, chat_id);
                    continue;
                }
            };
            let beside = in_flight.as_ref().is_some_and(|in_flight| in_flight.beside);
            let made = match (in_flight, options.change) {
                (Some(in_flight), Some(change)) => {
                    self.make_before_deadline(&change, in_flight, make(address)).await
                }
                _ => make(address).await,
            };
            let error = match made {
                Ok(made) => return Ok(CallOutcome::Made(made, beside)),
                Err(error) => error,
            };
            self.learn(address.chat_id, &error).await;
            match error {
                BotError::Migrated(chat_id) => address = followed(&address, chat_id),
                // The topic was deleted: send it outside of topics.
                BotError::TopicGone if address.thread.is_some() => address.thread = None,
                error => return Err(error),
            }
        }
        Err(BotError::Refused("the group migrated too often".to_owned()))
    }

    /// Makes an edit before its deadline, and notes when it is no longer in flight.
    async fn make_before_deadline<T>(
        &self,
        change: &EditRequest,
        in_flight: InFlightEdit,
        make: impl Future<Output = Result<T, BotError>>,
    ) -> Result<T, BotError> {
        let made = if Instant::now() < in_flight.until {
            let made = tokio::time::timeout_at(in_flight.until, make).await;
            made.unwrap_or_else(|_elapsed| Err(BotError::Transient("timed out".to_owned())))
        } else {
            // This process was paused. Others may have begun newer edits since.
            Err(BotError::RetryAfter(Duration::ZERO))
        };
        // Without an answer Telegram may still apply the edit, so it stays in flight until its deadline.
        if !matches!(made, Err(BotError::Transient(_))) {
            let noting = self.store.note_arrived(change, in_flight.token);
            self.noting.spawn(async move {
                if let Err(error) = noting.await {
                    tracing::debug!(error = %error, "end of an edit not stored; it counts as in flight until its deadline");
                }
            });
        }
        made
    }

    async fn admission(&self, chat_id: i64, options: CallOptions<'_>) -> Decision {
        let CallOptions { priority, messages, unless, change } = options;
        let asking = self.ask_for_room(SendRequest { chat_id, priority, messages, change });
        match unless {
            // A permission granted at the same moment is lost, nothing else.
            Some(over) => over.run_until_cancelled(asking).await.unwrap_or(Decision::Drop),
            None => asking.await,
        }
    }

    async fn ask_for_room(&self, request: SendRequest) -> Decision {
        if self.store.limits.none() {
            return self.without_limits(request).await;
        }
        let (answer, admission) = oneshot::channel();
        let asked = self.scheduler.send(Queued { request, answer }).await;
        match asked {
            Ok(()) => admission.await.unwrap_or(Decision::RetryAfter(AT_THE_END)),
            Err(_closed) => Decision::RetryAfter(AT_THE_END),
        }
    }

    /// Without limits nothing waits in the scheduler; Telegram's requests to wait are still obeyed.
    async fn without_limits(&self, request: SendRequest) -> Decision {
        match self.store.take(request).await {
            Ok(answer) => scheduler::decision(answer)
                .unwrap_or_else(|(wait, _all)| Decision::RetryAfter(wait)),
            Err(error) if request.change.is_some() => {
                tracing::debug!(error = %error, "edit delayed until Redis answers");
                Decision::RetryAfter(WITHOUT_REDIS)
            }
            Err(error) => {
                tracing::debug!(error = %error, "rate limit not read; sending at the local rate");
                let now = Instant::now();
                match self.local_limiter().take(now, request, &self.store.limits) {
                    None => Decision::Go,
                    Some(at) => Decision::RetryAfter(at.saturating_duration_since(now)),
                }
            }
        }
    }

    /// Shares with all coordinators what a refusal says about the chat.
    async fn learn(&self, chat_id: i64, error: &BotError) {
        match error {
            BotError::RetryAfter(wait) => {
                self.local_limiter().pause(Instant::now(), chat_id, *wait);
                match self.store.pause(chat_id, *wait).await {
                    Ok(all) => {
                        metrics::asked_to_wait(all);
                        tracing::warn!(
                            wait_ms = queue::millis(*wait),
                            all,
                            "Telegram asks to wait"
                        );
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "Telegram asks to wait; other coordinators not informed");
                    }
                }
            }
            BotError::Unreachable => self.mark_unreachable(chat_id).await,
            BotError::Migrated(to) => self.mark_migrated(chat_id, *to).await,
            BotError::NotModified
            | BotError::MessageGone
            | BotError::RateLimited
            | BotError::TopicGone
            | BotError::Conflict
            | BotError::WebhookSet
            | BotError::Unauthorized
            | BotError::Unreadable { .. }
            | BotError::Transient(_)
            | BotError::Refused(_) => {}
        }
    }

    fn local_limiter(&self) -> MutexGuard<'_, LocalRateLimiter> {
        self.local_limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a call is scheduled.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallOptions<'a> {
    pub(super) priority: Priority,
    pub(super) messages: u32,
    /// Cancels the call while it waits.
    pub(super) unless: Option<&'a CancellationToken>,
    /// The edit, unless it is a new message.
    pub(super) change: Option<EditRequest>,
}

impl CallOptions<'_> {
    /// One message.
    pub(super) fn one(priority: Priority) -> Self {
        Self { priority, messages: 1, unless: None, change: None }
    }
}

/// What became of a call.
pub(super) enum CallOutcome<T> {
    /// It was made; and whether an older edit of the message is in flight.
    Made(T, bool),
    /// Not made: an older edit of the message is in flight.
    Busy,
    /// Not made: an edit of this later turn was begun.
    Superseded { by: u64 },
}

impl<T> CallOutcome<T> {
    /// For a new message, which is either sent or fails.
    pub(super) fn made(self) -> Result<T, BotError> {
        match self {
            Self::Made(made, _) => Ok(made),
            Self::Busy | Self::Superseded { .. } => Err(BotError::RateLimited),
        }
    }

    /// For an edit.
    pub(super) fn edited(self) -> EditOutcome {
        match self {
            Self::Made(_, false) => EditOutcome::Shown,
            Self::Made(_, true) => EditOutcome::Beside,
            Self::Busy => EditOutcome::Busy,
            Self::Superseded { by } => EditOutcome::Superseded { by },
        }
    }
}

/// The address under a group's new id. Message ids and topics do not carry over.
fn followed(address: &ChatAddress, chat_id: i64) -> ChatAddress {
    ChatAddress { chat_id, thread: None, reply_to: None, ..*address }
}
