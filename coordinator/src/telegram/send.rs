//! Sends every message within Telegram's rate limits, the most urgent first.
//!
//! The limits belong to the bot, not to a process: all coordinators share them in Redis ([`rate_limit_store`]). A message
//! that exceeds them waits ([`scheduler`]). When Telegram asks to wait, all coordinators wait: with that chat, or with all
//! chats once two were told to wait within a second. Nothing is sent to an unreachable chat until something comes
//! from it. A group that migrated is followed to its new id. While Redis is away, each coordinator sends new messages at a
//! low rate of its own ([`local_limiter`]); edits wait for Redis, which keeps their order ([`revision`]).
//!
//! Answers to button presses and "typing…" are not limited: Telegram counts only messages, and late they are of no use.

mod call;
mod limits;
mod local_limiter;
mod rate_limit_store;
mod request;
mod revision;
mod scheduler;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chat_commands::media::Media;
use ops::retry::{self, RetryPolicy};
use ops::shutdown::{Shutdown, ShuttingDown};
use queue::TaskQueue;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bot_api::{BotApi, BotError};
use crate::chat::address::ChatAddress;
use crate::chat::render::split;
use crate::chat::screen::Screen;
use call::{CallOptions, CallOutcome, LimitedCalls};
pub use limits::{Limits, Priority, RateLimit};
use local_limiter::LocalRateLimiter;
use rate_limit_store::RateLimitStore;
use revision::EditRequest;
pub use revision::{EditOutcome, Revision};
pub use scheduler::SendScheduler;

/// Capacity of the channel to the scheduler. When it is full, senders wait.
const REQUESTS: usize = 1_024;
/// Most messages for one text; the rest is cut.
const PARTS_AT_MOST: usize = 5;
/// How often a later part of a text is tried here: a retry by the caller would send the first parts again.
const PART_ATTEMPTS: usize = 10;
const PART_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for a later part, because a delivery slot and a shutdown wait for it too.
const PARTS_WITHIN: Duration = Duration::from_secs(20);
/// "typing…" calls of this process per second. Telegram documents no limit; answers matter more.
const TYPING_A_SECOND: u32 = 10;

/// Sends and edits messages. Clones share the scheduler.
#[derive(Debug, Clone)]
pub struct Sender {
    bot: BotApi,
    calls: LimitedCalls,
    /// Start of the current second, and the "typing…" calls in it.
    typed: Arc<Mutex<(Instant, u32)>>,
}

impl Sender {
    /// A sender, and the scheduler that has to be run for it.
    pub fn new(bot: BotApi, queue: TaskQueue, limits: Limits) -> (Self, SendScheduler) {
        let store = Arc::new(RateLimitStore::new(queue, bot.id(), limits));
        let local_limiter = Arc::new(Mutex::new(LocalRateLimiter::default()));
        let typed = Arc::new(Mutex::new((Instant::now(), 0)));
        let (scheduler, requests) = mpsc::channel(REQUESTS);
        let running = SendScheduler::new(requests, Arc::clone(&store), Arc::clone(&local_limiter));
        let calls = LimitedCalls::new(store, local_limiter, scheduler);
        (Self { bot, calls, typed }, running)
    }

    /// Waits for the writes in the background.
    pub async fn settle(&self) {
        self.calls.settle().await;
    }

    /// The Bot API, for calls without a chat.
    pub fn bot(&self) -> &BotApi {
        &self.bot
    }

    /// Sends a new message and returns its id. A text that is too long is split; the last part has the buttons, and
    /// its id is returned.
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
        self.calls
            .call(address, options, |address| async move { bot.send(&address, part).await })
            .await
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
        let sent = self
            .calls
            .call(address, options, |address| async move { bot.send(&address, screen).await });
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
        let called = self.calls.call(
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
        let sent = self
            .calls
            .call(address, options, |address| async move { bot.album(&address, media).await });
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
        self.calls.mark_reachable(chat_id).await;
    }

    /// Notes that the bot was blocked, or removed from a group.
    pub async fn mark_unreachable(&self, chat_id: i64) {
        self.calls.mark_unreachable(chat_id).await;
    }

    /// Notes that a group migrated to another id.
    pub async fn mark_migrated(&self, from: i64, to: i64) {
        self.calls.mark_migrated(from, to).await;
    }
}
