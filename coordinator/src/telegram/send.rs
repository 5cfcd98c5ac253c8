//! Sends every message within Telegram's rate limits, the most urgent first.
//!
//! The limits belong to the bot, not to a process: all coordinators share them in Redis ([`rate_limit_store`]). A message
//! that exceeds them waits ([`scheduler`]). When Telegram asks to wait, all coordinators wait: with that chat, or with all
//! chats once two were told to wait within a second. A chat that cannot be written to is left alone until something comes
//! from it. A group that migrated is followed to its new id. While Redis is away, each coordinator sends new messages at a
//! low rate of its own ([`local_limiter`]); edits wait for Redis, which keeps their order ([`revision`]).
//!
//! Answers to button presses and "typing…" are not limited: Telegram counts only messages, and late they are of no use.

mod limits;
mod local_limiter;
mod rate_limit_store;
mod request;
mod revision;
mod scheduler;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ops::retry::{self, RetryPolicy};
use ops::shutdown::{Shutdown, ShuttingDown};
use queue::TaskQueue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bot_api::{BotApi, BotError};
use crate::chat::address::ChatAddress;
use crate::chat::media::Media;
use crate::chat::render::split;
use crate::chat::screen::Screen;
use crate::metrics;
pub use limits::{Limits, Priority, RateLimit};
use local_limiter::LocalRateLimiter;
use rate_limit_store::RateLimitStore;
use request::SendRequest;
pub use revision::{EditOutcome, Revision};
use revision::{EditRequest, InFlightEdit};
pub use scheduler::SendScheduler;
use scheduler::{Decision, Queued};

/// Capacity of the channel to the scheduler. When it is full, senders wait.
const REQUESTS: usize = 1_024;
/// How often a migrated group is followed. Telegram migrates a group once.
const MOVES_AT_MOST: usize = 3;
/// Most messages for one text; the rest is cut.
const PARTS_AT_MOST: usize = 5;
/// How often a later part of a text is tried here: a retry by the caller would send the first parts again.
const PART_ATTEMPTS: usize = 10;
const PART_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for a later part, because a delivery slot and a shutdown wait for it too.
const PARTS_WITHIN: Duration = Duration::from_secs(20);
/// "typing…" calls of this process per second. Telegram documents no limit; answers matter more.
const TYPING_A_SECOND: u32 = 10;
/// Pause before an edit asks Redis again.
const WITHOUT_REDIS: Duration = Duration::from_secs(1);
/// Retry delay reported after the scheduler has stopped; nobody will use it.
const AT_THE_END: Duration = Duration::from_secs(1);

/// Sends and edits messages. Clones share the scheduler.
#[derive(Debug, Clone)]
pub struct Sender {
    bot: BotApi,
    store: Arc<RateLimitStore>,
    local_limiter: Arc<Mutex<LocalRateLimiter>>,
    scheduler: mpsc::Sender<Queued>,
    /// Start of the current second, and the "typing…" calls in it.
    typed: Arc<Mutex<(Instant, u32)>>,
    /// Writes to Redis that edits have arrived, in the background.
    noting: TaskTracker,
}

impl Sender {
    /// A sender, and the scheduler that has to be run for it.
    pub fn new(bot: BotApi, queue: TaskQueue, limits: Limits) -> (Self, SendScheduler) {
        let store = Arc::new(RateLimitStore::new(queue, bot.id(), limits));
        let local_limiter = Arc::new(Mutex::new(LocalRateLimiter::default()));
        let typed = Arc::new(Mutex::new((Instant::now(), 0)));
        let (scheduler, requests) = mpsc::channel(REQUESTS);
        let running = SendScheduler::new(requests, Arc::clone(&store), Arc::clone(&local_limiter));
        (Self { bot, store, local_limiter, scheduler, typed, noting: TaskTracker::new() }, running)
    }

    /// Waits for the writes in the background.
    pub async fn settle(&self) {
        self.noting.close();
        self.noting.wait().await;
    }

    /// The Bot API, for calls without a chat.
    pub fn bot(&self) -> &BotApi {
        &self.bot
    }

    /// Sends a new message and returns its id. A text that is too long is split; the buttons are under the last part, and the
    /// id is its.
    ///
    /// # Errors
    ///
    /// [`BotError`]. [`BotError::RetryAfter`] also when our own limit is used up, [`BotError::RateLimited`] when the message is
    /// not urgent enough to be tried again.
    pub async fn send(
        &self,
        address: &ChatAddress,
        screen: &Screen,
        priority: Priority,
    ) -> Result<i64, BotError> {
        self.send_parts(address, screen, CallOptions::one(priority)).await?.made()
    }

    /// Sends the text of an edit as a new message, because the edited message is gone. Keeps the order of that message's edits.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send_instead(
        &self,
        address: &ChatAddress,
        revision: Revision,
        screen: &Screen,
        priority: Priority,
        beside: bool,
    ) -> Result<EditOutcome, BotError> {
        let change = Some(EditRequest { chat_id: address.chat_id, revision, beside });
        let sent = self
            .send_parts(address, screen, CallOptions { change, ..CallOptions::one(priority) })
            .await?;
        Ok(match sent.edited() {
            // An older edit arrives at the old message, or fails.
            EditOutcome::Beside => EditOutcome::Shown,
            edited => edited,
        })
    }

    async fn send_parts(
        &self,
        address: &ChatAddress,
        screen: &Screen,
        options: CallOptions<'_>,
    ) -> Result<CallOutcome<i64>, BotError> {
        let mut parts = split::split(&screen.html, split::MESSAGE_UNITS);
        if parts.len() <= 1 {
            return self.send_part(address, screen, options).await;
        }
        parts.truncate(PARTS_AT_MOST);
        let last = parts.pop().unwrap_or_default();
        for (number, html) in parts.into_iter().enumerate() {
            let part = Screen::plain(html);
            let sent = match number {
                0 => self.send_part(address, &part, options).await?,
                _ => self.insist_on_part(address, &part, options).await?,
            };
            if !matches!(sent, CallOutcome::Made(..)) {
                return Ok(sent);
            }
        }
        let last = Screen { html: last, ..screen.clone() };
        self.insist_on_part(address, &last, options).await
    }

    async fn insist_on_part(
        &self,
        address: &ChatAddress,
        part: &Screen,
        mut options: CallOptions<'_>,
    ) -> Result<CallOutcome<i64>, BotError> {
        // The first part has kept the order already.
        if let Some(change) = &mut options.change {
            change.beside = true;
        }
        let mut attempts = 0;
        let until = Instant::now() + PARTS_WITHIN;
        let pause_after = |error: &BotError, pause| {
            attempts += 1;
            let pause = error.try_again_after(pause)?;
            (attempts < PART_ATTEMPTS && Instant::now() + pause < until).then_some(pause)
        };
        let policy = RetryPolicy::fixed(PART_AGAIN);
        let send = || self.send_part(address, part, options);
        // A shutdown waits for the rest of a text: half of it is in the chat.
        match retry::until_given_up(policy, &Shutdown::never(), send, pause_after).await {
            Ok(Err(error)) if error.try_again_after(PART_AGAIN).is_none() => Err(error),
            Ok(Ok(sent)) => Ok(sent),
            Ok(Err(_)) | Err(ShuttingDown) => {
                Err(BotError::Refused("the rest of a text was not sent".to_owned()))
            }
        }
    }

    async fn send_part(
        &self,
        address: &ChatAddress,
        part: &Screen,
        options: CallOptions<'_>,
    ) -> Result<CallOutcome<i64>, BotError> {
        let bot = &self.bot;
        self.call(address, options, |address| async move { bot.send(&address, part).await }).await
    }

    /// Sends a placeholder and returns its id, unless it still waits for the rate limit when `over` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`BotError::RateLimited`] when it was not sent.
    pub async fn send_placeholder(
        &self,
        address: &ChatAddress,
        screen: &Screen,
        over: &CancellationToken,
    ) -> Result<i64, BotError> {
        let bot = &self.bot;
        let options = CallOptions { unless: Some(over), ..CallOptions::one(Priority::Placeholder) };
        let sent =
            self.call(address, options, |address| async move { bot.send(&address, screen).await });
        sent.await?.made()
    }

    /// Replaces a message's text and buttons, unless a newer edit was begun. A text that is too long is cut, for one message
    /// cannot become two. `beside` starts the edit although older ones are in flight.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`BotError::RetryAfter`] also while Redis is away. Never [`BotError::NotModified`].
    pub async fn edit(
        &self,
        address: &ChatAddress,
        revision: Revision,
        screen: &Screen,
        priority: Priority,
        beside: bool,
    ) -> Result<EditOutcome, BotError> {
        let parts = split::split(&screen.html, split::MESSAGE_UNITS);
        let cut = (parts.len() > 1).then(|| Screen {
            html: parts.into_iter().next().unwrap_or_default(),
            ..screen.clone()
        });
        let bot = &self.bot;
        let screen = cut.as_ref().unwrap_or(screen);
        let asked = address.chat_id;
        let change = Some(EditRequest { chat_id: asked, revision, beside });
        let called = self.call(
            address,
            CallOptions { change, ..CallOptions::one(priority) },
            |address| async move {
                // Message ids change when a group migrates.
                if address.chat_id != asked {
                    return Err(BotError::MessageGone);
                }
                match bot.edit(&address, revision.message_id, screen).await {
                    Err(BotError::NotModified) => Ok(()),
                    edited => edited,
                }
            },
        );
        Ok(called.await?.edited())
    }

    /// Sends pictures and videos.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`BotError::Refused`] when Telegram cannot load one of them.
    pub async fn album(&self, address: &ChatAddress, media: &[Media]) -> Result<(), BotError> {
        let bot = &self.bot;
        let messages = u32::try_from(media.len()).unwrap_or(u32::MAX);
        let options = CallOptions { messages, ..CallOptions::one(Priority::Reply) };
        let sent =
            self.call(address, options, |address| async move { bot.album(&address, media).await });
        sent.await?.made()
    }

    /// Removes a message of ours.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn delete(&self, chat_id: i64, message_id: i64) -> Result<(), BotError> {
        self.bot.delete(chat_id, message_id).await
    }

    /// Ends the waiting mark on a pressed button, with a short text or without.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn answer_button(&self, query: &str, text: Option<&str>) -> Result<(), BotError> {
        self.bot.answer_button(query, text).await
    }

    /// Shows "typing…" for a few seconds.
    ///
    /// # Errors
    ///
    /// [`BotError`].
    pub async fn typing(&self, address: &ChatAddress) -> Result<(), BotError> {
        if !self.may_type(Instant::now()) {
            return Err(BotError::RateLimited);
        }
        self.bot.typing(address).await
    }

    fn may_type(&self, now: Instant) -> bool {
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(typed.0) >= Duration::from_secs(1) {
            *typed = (now, 0);
        }
        typed.1 += 1;
        typed.1 <= TYPING_A_SECOND
    }

    /// Notes that a chat can be written to, because something came from it.
    pub async fn mark_reachable(&self, chat_id: i64) {
        if let Err(error) = self.store.note_reachable(chat_id).await {
            tracing::debug!(error = %error, "it was not noted that a chat is there");
        }
    }

    /// Notes that the bot was blocked, or removed from a group.
    pub async fn mark_unreachable(&self, chat_id: i64) {
        if let Err(error) = self.store.note_unreachable(chat_id).await {
            tracing::debug!(error = %error, "it was not noted that a chat is gone");
        }
    }

    /// Notes that a group migrated to another id.
    pub async fn mark_migrated(&self, from: i64, to: i64) {
        tracing::info!("a group has another id");
        if let Err(error) = self.store.note_migrated(from, to).await {
            tracing::warn!(error = %error, "it was not noted that a group has another id");
        }
    }

    /// Makes a call as soon as the rate limit allows it, and notes what its result says about the chat.
    async fn call<T, F>(
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
        Err(BotError::Refused("the group has another id each time".to_owned()))
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
            made.unwrap_or_else(|_elapsed| Err(BotError::Transient("time-out".to_owned())))
        } else {
            // This process was paused. Others may have begun newer edits since.
            Err(BotError::RetryAfter(Duration::ZERO))
        };
        // Without an answer Telegram may still apply the edit, so it stays in flight until its deadline.
        if !matches!(made, Err(BotError::Transient(_))) {
            let noting = self.store.note_arrived(change, in_flight.token);
            self.noting.spawn(async move {
                if let Err(error) = noting.await {
                    tracing::debug!(error = %error, "a change counts as on its way until its time is up");
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
                tracing::debug!(error = %error, "a change waits for Redis, which keeps their order");
                Decision::RetryAfter(WITHOUT_REDIS)
            }
            Err(error) => {
                tracing::debug!(error = %error, "cannot ask about a chat; sending all the same");
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
                        tracing::warn!(error = %error, "Telegram asks to wait, and only this coordinator knows");
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
#[derive(Clone, Copy)]
struct CallOptions<'a> {
    priority: Priority,
    messages: u32,
    /// Cancels the call while it waits.
    unless: Option<&'a CancellationToken>,
    /// The edit, unless it is a new message.
    change: Option<EditRequest>,
}

impl CallOptions<'_> {
    fn one(priority: Priority) -> Self {
        Self { priority, messages: 1, unless: None, change: None }
    }
}

/// What became of a call.
enum CallOutcome<T> {
    /// It was made; and whether an older edit of the message is in flight.
    Made(T, bool),
    /// Not made: an older edit of the message is in flight.
    Busy,
    /// Not made: an edit of this later turn was begun.
    Superseded { by: u64 },
}

impl<T> CallOutcome<T> {
    /// For a new message, which is either sent or fails.
    fn made(self) -> Result<T, BotError> {
        match self {
            Self::Made(made, _) => Ok(made),
            Self::Busy | Self::Superseded { .. } => Err(BotError::RateLimited),
        }
    }

    /// For an edit.
    fn edited(self) -> EditOutcome {
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
