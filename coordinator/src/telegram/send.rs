//! Everything that goes into a chat goes through here: within Telegram's limits, the urgent first.
//!
//! The limits are the bot's, not a process': all coordinators take room from the same books in Redis ([`rate_limit_store`]). Who
//! finds none waits in line ([`scheduler`]). When Telegram asks to wait, all coordinators do, for as long as it says: with the
//! chat, or with everything once two chats are told so within a moment. A chat that cannot be written to is not written
//! to again until something comes from it; a group that has another id is followed there. While Redis is away each
//! coordinator goes on by itself, slowly ([`local_limiter`]), with new messages: what is a change of a message waits for Redis, which
//! keeps the order of its changes ([`revision`]).
//!
//! Answers to button presses and "typing…" take no room. They are no messages, which is what the limits count, and late
//! they are worth nothing.

mod limits;
mod local_limiter;
mod rate_limit_store;
mod request;
mod revision;
mod scheduler;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queue::TaskQueue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bot_api::{BotApi, BotError};
use crate::chat::address::Place;
use crate::chat::render::split;
use crate::chat::screen::{Media, Screen};
use crate::metrics;
pub use limits::{Limits, Rule, Urgency};
use local_limiter::Pace;
use rate_limit_store::Books;
use request::Parcel;
use revision::{Change, Flight};
pub use revision::{Edited, Revision};
pub use scheduler::Line;
use scheduler::{Admission, Request};

/// Requests on their way to the line. When it is full, who asks waits for a moment.
const REQUESTS: usize = 1_024;
/// A group that moves again while it is followed; more than once is not Telegram.
const MOVES_AT_MOST: usize = 3;
/// A text that needs more messages is cut: nobody reads them.
const PARTS_AT_MOST: usize = 5;
/// How often a later part of a text is tried: giving it to the caller would send the first parts again.
const PART_ATTEMPTS: usize = 10;
const PART_AGAIN: Duration = Duration::from_secs(1);
/// A later part that has waited for this long stays out: a slot and a shutdown wait for it.
const PARTS_WITHIN: Duration = Duration::from_secs(20);
/// "typing…" of this process a second. Telegram does not say how many it takes, and answers matter more.
const TYPING_A_SECOND: u32 = 10;
/// Pause before a change asks again for Redis, which keeps the order of a message's changes.
const WITHOUT_REDIS: Duration = Duration::from_secs(1);
/// Pause when nobody lets through any more: the process is ending.
const AT_THE_END: Duration = Duration::from_secs(1);

/// Sends and edits messages. Clones share the line.
#[derive(Debug, Clone)]
pub struct Sender {
    bot: BotApi,
    books: Arc<Books>,
    pace: Arc<Mutex<Pace>>,
    line: mpsc::Sender<Request>,
    /// When the second began in which so many chats were told that we are typing.
    typed: Arc<Mutex<(Instant, u32)>>,
    /// Notes that changes have arrived, which nobody waits for.
    noting: TaskTracker,
}

impl Sender {
    /// A sender, and the line that somebody has to run for it.
    pub fn new(bot: BotApi, queue: TaskQueue, limits: Limits) -> (Self, Line) {
        let books = Arc::new(Books::new(queue, bot.id(), limits));
        let pace = Arc::new(Mutex::new(Pace::default()));
        let typed = Arc::new(Mutex::new((Instant::now(), 0)));
        let (line, requests) = mpsc::channel(REQUESTS);
        let running = Line::new(requests, Arc::clone(&books), Arc::clone(&pace));
        (Self { bot, books, pace, line, typed, noting: TaskTracker::new() }, running)
    }

    /// Waits until what was noted behind the callers' backs is in Redis.
    pub async fn settle(&self) {
        self.noting.close();
        self.noting.wait().await;
    }

    /// The Bot API, for calls that go into no chat.
    pub fn bot(&self) -> &BotApi {
        &self.bot
    }

    /// Sends a new message and gives its id. A text that is too long for one goes in several; the buttons are under the
    /// last, whose id it is.
    ///
    /// # Errors
    ///
    /// [`BotError`]. [`BotError::RetryAfter`] also when there is no room for some time, [`BotError::NoRoom`] when it is
    /// not urgent enough to be tried again.
    pub async fn send(
        &self,
        place: &Place,
        screen: &Screen,
        urgency: Urgency,
    ) -> Result<i64, BotError> {
        self.send_parts(place, screen, Want::one(urgency)).await?.made()
    }

    /// Sends what a message was to show that is gone, in its place in the order of that message's changes.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn send_instead(
        &self,
        place: &Place,
        revision: Revision,
        screen: &Screen,
        urgency: Urgency,
        beside: bool,
    ) -> Result<Edited, BotError> {
        let change = Some(Change { chat_id: place.chat_id, revision, beside });
        let sent = self.send_parts(place, screen, Want { change, ..Want::one(urgency) }).await?;
        Ok(match sent.edited() {
            // What arrives later is another message, or finds none.
            Edited::Beside => Edited::Shown,
            edited => edited,
        })
    }

    async fn send_parts(
        &self,
        place: &Place,
        screen: &Screen,
        want: Want<'_>,
    ) -> Result<Called<i64>, BotError> {
        let mut parts = split::split(&screen.html, split::MESSAGE_UNITS);
        if parts.len() <= 1 {
            return self.send_part(place, screen, want).await;
        }
        parts.truncate(PARTS_AT_MOST);
        let last = parts.pop().unwrap_or_default();
        for (number, html) in parts.into_iter().enumerate() {
            let part = Screen::plain(html);
            let sent = match number {
                0 => self.send_part(place, &part, want).await?,
                _ => self.insist_on_part(place, &part, want).await?,
            };
            if !matches!(sent, Called::Made(..)) {
                return Ok(sent);
            }
        }
        let last = Screen { html: last, ..screen.clone() };
        self.insist_on_part(place, &last, want).await
    }

    async fn insist_on_part(
        &self,
        place: &Place,
        part: &Screen,
        mut want: Want<'_>,
    ) -> Result<Called<i64>, BotError> {
        // The first part had its turn.
        if let Some(change) = &mut want.change {
            change.beside = true;
        }
        let (mut attempts, until) = (0, Instant::now() + PARTS_WITHIN);
        loop {
            let error = match self.send_part(place, part, want).await {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            attempts += 1;
            match error.try_again_after(PART_AGAIN) {
                Some(wait) if attempts < PART_ATTEMPTS && Instant::now() + wait < until => {
                    tokio::time::sleep(wait).await;
                }
                Some(_) => {
                    return Err(BotError::Refused("the rest of a text stayed out".to_owned()));
                }
                None => return Err(error),
            }
        }
    }

    async fn send_part(
        &self,
        place: &Place,
        part: &Screen,
        want: Want<'_>,
    ) -> Result<Called<i64>, BotError> {
        let bot = &self.bot;
        self.call(place, want, |place| async move { bot.send(&place, part).await }).await
    }

    /// Sends a placeholder, unless it is still waiting for room when `over`. It gives its id.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`BotError::NoRoom`] when it was not sent.
    pub async fn place(
        &self,
        place: &Place,
        screen: &Screen,
        over: &CancellationToken,
    ) -> Result<i64, BotError> {
        let bot = &self.bot;
        let want = Want { unless: Some(over), ..Want::one(Urgency::Placeholder) };
        let sent = self.call(place, want, |place| async move { bot.send(&place, screen).await });
        sent.await?.made()
    }

    /// Replaces a message's text and buttons, unless it is to show something newer. A text that is too long is cut: one
    /// message cannot become two. `beside` says not to wait for older changes that are on their way.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`BotError::RetryAfter`] also while Redis is away. Never [`BotError::NotModified`].
    pub async fn edit(
        &self,
        place: &Place,
        revision: Revision,
        screen: &Screen,
        urgency: Urgency,
        beside: bool,
    ) -> Result<Edited, BotError> {
        let parts = split::split(&screen.html, split::MESSAGE_UNITS);
        let cut = (1 < parts.len()).then(|| Screen {
            html: parts.into_iter().next().unwrap_or_default(),
            ..screen.clone()
        });
        let (bot, screen) = (&self.bot, cut.as_ref().unwrap_or(screen));
        let asked = place.chat_id;
        let change = Some(Change { chat_id: asked, revision, beside });
        let called = self.call(place, Want { change, ..Want::one(urgency) }, |place| async move {
            // In a group that has moved messages have other numbers.
            if place.chat_id != asked {
                return Err(BotError::MessageGone);
            }
            match bot.edit(&place, revision.message_id, screen).await {
                Err(BotError::NotModified) => Ok(()),
                edited => edited,
            }
        });
        Ok(called.await?.edited())
    }

    /// Sends pictures and videos.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`BotError::Refused`] when Telegram cannot load one of them.
    pub async fn album(&self, place: &Place, media: &[Media]) -> Result<(), BotError> {
        let bot = &self.bot;
        let messages = u32::try_from(media.len()).unwrap_or(u32::MAX);
        let want = Want { messages, ..Want::one(Urgency::Reply) };
        let sent = self.call(place, want, |place| async move { bot.album(&place, media).await });
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
    pub async fn typing(&self, place: &Place) -> Result<(), BotError> {
        match self.may_type(Instant::now()) {
            true => self.bot.typing(place).await,
            false => Err(BotError::NoRoom),
        }
    }

    fn may_type(&self, now: Instant) -> bool {
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        if Duration::from_secs(1) <= now.duration_since(typed.0) {
            *typed = (now, 0);
        }
        typed.1 += 1;
        typed.1 <= TYPING_A_SECOND
    }

    /// Something came from a chat: it can be written to.
    pub async fn heard_from(&self, chat_id: i64) {
        if let Err(error) = self.books.note_there(chat_id).await {
            tracing::debug!(error = %error, "it was not noted that a chat is there");
        }
    }

    /// The bot was blocked, or thrown out of a group.
    pub async fn shut_out(&self, chat_id: i64) {
        if let Err(error) = self.books.note_gone(chat_id).await {
            tracing::debug!(error = %error, "it was not noted that a chat is gone");
        }
    }

    /// A group has another id.
    pub async fn moved(&self, from: i64, to: i64) {
        tracing::info!("a group has another id");
        if let Err(error) = self.books.note_moved(from, to).await {
            tracing::warn!(error = %error, "it was not noted that a group has another id");
        }
    }

    /// Makes a call when there is room for it, and notes what its answer says about the chat.
    async fn call<T, F>(
        &self,
        place: &Place,
        want: Want<'_>,
        make: impl Fn(Place) -> F,
    ) -> Result<Called<T>, BotError>
    where
        F: Future<Output = Result<T, BotError>>,
    {
        let mut place = *place;
        for _ in 0..MOVES_AT_MOST {
            let flight = match self.admission(place.chat_id, want).await {
                Admission::Go => None,
                Admission::Begun(flight) => Some(flight),
                Admission::Busy => return Ok(Called::Busy),
                Admission::Overtaken { by } => return Ok(Called::Overtaken { by }),
                Admission::Later(wait) => return Err(BotError::RetryAfter(wait)),
                Admission::NoRoom => return Err(BotError::NoRoom),
                Admission::Gone => return Err(BotError::Unreachable),
                Admission::Moved(chat_id) => {
                    place = followed(&place, chat_id);
                    continue;
                }
            };
            let beside = flight.as_ref().is_some_and(|flight| flight.beside);
            let made = match (flight, want.change) {
                (Some(flight), Some(change)) => self.fly(&change, flight, make(place)).await,
                _ => make(place).await,
            };
            let error = match made {
                Ok(made) => return Ok(Called::Made(made, beside)),
                Err(error) => error,
            };
            self.learn(place.chat_id, &error).await;
            match error {
                BotError::Moved(chat_id) => place = followed(&place, chat_id),
                // Its topic was deleted: then beside the topics.
                BotError::TopicGone if place.thread.is_some() => place.thread = None,
                error => return Err(error),
            }
        }
        Err(BotError::Refused("the group has another id each time".to_owned()))
    }

    /// Makes a change for as long as it may be on its way, and notes when it is not any more.
    async fn fly<T>(
        &self,
        change: &Change,
        flight: Flight,
        make: impl Future<Output = Result<T, BotError>>,
    ) -> Result<T, BotError> {
        let made = if Instant::now() < flight.until {
            let made = tokio::time::timeout_at(flight.until, make).await;
            made.unwrap_or_else(|_elapsed| Err(BotError::Transient("time-out".to_owned())))
        } else {
            // This process stood still. Others may have begun newer changes since.
            Err(BotError::RetryAfter(Duration::ZERO))
        };
        // Without an answer nobody knows whether Telegram has it: then it counts until its time is up.
        if !matches!(made, Err(BotError::Transient(_))) {
            let noting = self.books.note_arrived(change, flight.token);
            self.noting.spawn(async move {
                if let Err(error) = noting.await {
                    tracing::debug!(error = %error, "a change counts as on its way until its time is up");
                }
            });
        }
        made
    }

    async fn admission(&self, chat_id: i64, want: Want<'_>) -> Admission {
        let Want { urgency, messages, unless, change } = want;
        let asking = self.ask_for_room(Parcel { chat_id, urgency, messages, change });
        match unless {
            // What is granted at the same moment is lost, and nothing else.
            Some(over) => over.run_until_cancelled(asking).await.unwrap_or(Admission::NoRoom),
            None => asking.await,
        }
    }

    async fn ask_for_room(&self, parcel: Parcel) -> Admission {
        if self.books.limits.none() {
            return self.without_limits(parcel).await;
        }
        let (answer, admission) = oneshot::channel();
        let asked = self.line.send(Request { parcel, answer }).await;
        match asked {
            Ok(()) => admission.await.unwrap_or(Admission::Later(AT_THE_END)),
            Err(_closed) => Admission::Later(AT_THE_END),
        }
    }

    /// Nobody waits for room, so nobody stands in line; but what Telegram says about chats is obeyed.
    async fn without_limits(&self, parcel: Parcel) -> Admission {
        match self.books.take(parcel).await {
            Ok(verdict) => {
                scheduler::decided(verdict).unwrap_or_else(|(wait, _all)| Admission::Later(wait))
            }
            Err(error) if parcel.change.is_some() => {
                tracing::debug!(error = %error, "a change waits for Redis, which keeps their order");
                Admission::Later(WITHOUT_REDIS)
            }
            Err(error) => {
                tracing::debug!(error = %error, "cannot ask about a chat; sending all the same");
                let now = Instant::now();
                match self.pace().take(now, parcel, &self.books.limits) {
                    None => Admission::Go,
                    Some(at) => Admission::Later(at.saturating_duration_since(now)),
                }
            }
        }
    }

    /// Notes for all what a refusal says about the chat.
    async fn learn(&self, chat_id: i64, error: &BotError) {
        match error {
            BotError::RetryAfter(wait) => {
                self.pace().pause(Instant::now(), chat_id, *wait);
                match self.books.pause(chat_id, *wait).await {
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
            BotError::Unreachable => self.shut_out(chat_id).await,
            BotError::Moved(to) => self.moved(chat_id, *to).await,
            BotError::NotModified
            | BotError::MessageGone
            | BotError::NoRoom
            | BotError::TopicGone
            | BotError::Conflict
            | BotError::WebhookSet
            | BotError::Unauthorized
            | BotError::Unreadable { .. }
            | BotError::Transient(_)
            | BotError::Refused(_) => {}
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be sent, and how urgently.
#[derive(Clone, Copy)]
struct Want<'a> {
    urgency: Urgency,
    messages: u32,
    /// Not to be sent any more once this is over.
    unless: Option<&'a CancellationToken>,
    /// Which message is changed, unless it is a new one.
    change: Option<Change>,
}

impl Want<'_> {
    fn one(urgency: Urgency) -> Self {
        Self { urgency, messages: 1, unless: None, change: None }
    }
}

/// What became of a call.
enum Called<T> {
    /// It was made; and whether an older change of the same message is on its way.
    Made(T, bool),
    /// An older change of the same message is on its way.
    Busy,
    /// The message was to show what was asked at this later turn.
    Overtaken { by: u64 },
}

impl<T> Called<T> {
    /// Of a new message, whose calls are made or fail.
    fn made(self) -> Result<T, BotError> {
        match self {
            Self::Made(made, _) => Ok(made),
            Self::Busy | Self::Overtaken { .. } => Err(BotError::NoRoom),
        }
    }

    /// Of a change.
    fn edited(self) -> Edited {
        match self {
            Self::Made(_, false) => Edited::Shown,
            Self::Made(_, true) => Edited::Beside,
            Self::Busy => Edited::Busy,
            Self::Overtaken { by } => Edited::Overtaken { by },
        }
    }
}

/// The same place under a group's new id. Messages have other numbers there, and topics too.
fn followed(place: &Place, chat_id: i64) -> Place {
    Place { chat_id, thread: None, reply_to: None, ..*place }
}
