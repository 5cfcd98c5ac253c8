//! From the outbox to the chat: some coordinator shows the answer of every finished task.
//!
//! An answer always *edits* a message: the one whose button was pressed, or the placeholder. So showing it twice shows it
//! once. It leaves the outbox when Telegram has accepted it. Another coordinator takes over what a dead one had read. If the
//! bot can no longer write to the chat, the answer is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ops::health::Turns;
use ops::retry::{self, RetryPolicy};
use ops::shutdown::{Shutdown, ShuttingDown};
use ops::trace::{self, Current};
use queue::{Delivered, FailureCode, Lane, Outbox, Reply, TaskId, TaskQueue};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger;
use super::message_edit::{Attempt, MessageEdit, MessageEditor, REPEATED_AFTER};
use super::placeholder::{OwnPlaceholder, Placeholders};
use crate::chat::address::ChatAddress;
use crate::chat::callback::view_name;
use crate::chat::flow::answer;
use crate::chat::question::ReplyTo;
use crate::chat::screen::Screen;
use crate::chat::text::Lang;
use crate::metrics;
use crate::session_store::SessionStore;
use crate::spans;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::{Priority, Sender};
use crate::wait_estimator::WaitEstimator;

/// Answers shown at once; more would only wait for Telegram's own limits.
const AT_ONCE: usize = 64;
/// Answers in progress; most of them wait because Telegram asked to.
const IN_HAND_AT_MOST: usize = 2_000;
const READ_AT_ONCE: usize = 64;
const READ_WAIT: Duration = Duration::from_secs(1);
/// How often to look for new task types and for answers of dead coordinators.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// An answer that was read this long ago and not acknowledged belongs to a dead or stuck coordinator.
const ABANDONED_AFTER: Duration = Duration::from_secs(8);
/// For so long after an answer was read, no other coordinator can have taken it over. Then a placeholder that this process has
/// sent need not be looked up.
const OURS_ALONE: Duration = Duration::from_secs(4);
/// How long to wait for a placeholder that another coordinator may be sending.
const PLACEHOLDER_WAIT: Duration = Duration::from_secs(2);
const PLACEHOLDER_LOOK: Duration = Duration::from_millis(50);
/// How long to wait for the record of a placeholder that this process has sent.
const RECORDED_WITHIN: Duration = Duration::from_millis(500);
/// Pause while a placeholder is not recorded, or another coordinator's waits for the rate limit.
const PLACEHOLDER_COMES: Duration = Duration::from_millis(500);
/// How long an unreadable answer is left to coordinators of another release.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(60);
/// An answer that took longer to be shown is checked once more: meanwhile the person's data may have been deleted. A usual call
/// takes less, and then one more question to Redis would say nothing new.
const SHOWN_AT_ONCE: Duration = Duration::from_millis(500);
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two attempts to show an answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a shutdown waits for answers that are being shown; the rest is taken over.
const DRAIN: Duration = Duration::from_secs(10);

/// Answers and their entries in the outbox.
type InHand = HashMap<TaskId, (Lane, String)>;

/// What the delivery works with.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// Whose outbox is read.
    pub(crate) queue: TaskQueue,
    /// What people have seen so far.
    pub(crate) sessions: SessionStore,
    /// Sends what does not replace a message.
    pub(crate) sender: Sender,
    /// Replaces messages by answers.
    pub(crate) editor: MessageEditor,
    /// Placeholders that answers replace.
    pub(crate) placeholders: Placeholders,
    /// Learns how long tasks run.
    pub(crate) estimator: Arc<WaitEstimator>,
    /// Ends the pauses.
    pub(crate) shutdown: Shutdown,
}

/// Shows answers.
#[derive(Debug)]
pub(crate) struct Delivery {
    parts: Parts,
    slots: Semaphore,
    /// Answers in progress, so that this process does not take over its own.
    in_hand: Mutex<InHand>,
    running: TaskTracker,
}

impl Delivery {
    /// A delivery that has to be run.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            slots: Semaphore::new(AT_ONCE),
            in_hand: Mutex::default(),
            running: TaskTracker::new(),
        })
    }

    /// Shows answers until `shutdown`. `me` names this coordinator.
    pub(crate) async fn run_until(
        self: Arc<Self>,
        me: String,
        turns: Turns,
        shutdown: CancellationToken,
    ) {
        let mut outbox = Outbox::new(&self.parts.queue, &me);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            turns.turned();
            if look_due(&mut look) {
                self.look(&mut outbox).await;
            }
            if self.in_hand(|in_hand| in_hand.len()) >= IN_HAND_AT_MOST {
                // These wait for Telegram; the rest waits in Redis.
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            let asked_at = Instant::now();
            match outbox.read(READ_AT_ONCE, READ_WAIT).await {
                Ok(read) => self.start(read, Some(asked_at)),
                // The outbox itself pauses before it asks the same Redis again.
                Err(error) => {
                    self.parts.queue.note_trouble(None, "read the outbox", &error.source);
                }
            }
        }
        self.running.close();
        if tokio::time::timeout(DRAIN, self.running.wait()).await.is_err() {
            tracing::warn!(
                "shutdown before all answers were delivered; another coordinator takes over the rest"
            );
        }
    }

    /// Refreshes the task types, and takes over answers of dead coordinators.
    async fn look(self: &Arc<Self>, outbox: &mut Outbox) {
        if let Err(error) = outbox.refresh_lanes().await {
            self.parts.queue.note_trouble(None, "read the task types", &error.source);
        }
        // Keeps other coordinators from taking over answers that wait here.
        let held = self.in_hand(|in_hand| in_hand.values().cloned().collect::<Vec<_>>());
        if let Err(error) = outbox.hold(&held).await {
            self.parts.queue.note_trouble(None, "hold answers", &error.source);
        }
        match outbox.take_over(READ_AT_ONCE, ABANDONED_AFTER).await {
            Ok(abandoned) => self.start(abandoned, None),
            Err(error) => {
                self.parts.queue.note_trouble(None, "take answers over", &error.source);
            }
        }
    }

    /// Starts to show answers. New ones were asked for at `asked_at`.
    fn start(self: &Arc<Self>, replies: Vec<Reply>, asked_at: Option<Instant>) {
        for reply in replies {
            let id = reply.task.task_id.clone();
            let entry = (reply.lane.clone(), reply.entry.clone());
            if self.in_hand(|in_hand| in_hand.insert(id.clone(), entry)).is_some() {
                continue;
            }
            let delivery = Arc::clone(self);
            self.parts.estimator.record_run(&reply.task.task_type, &reply.result);
            self.running.spawn(async move {
                let mut span = spans::deliver(&reply);
                let current = Current::new(span.context()).with_task(id.as_str());
                // What is left is taken over by another coordinator.
                match trace::within(Some(current), delivery.deliver(&reply, asked_at)).await {
                    Ok(Shown::Ended(Delivered::Shown)) => {}
                    Ok(Shown::Ended(Delivered::Undeliverable)) => span.fail("undeliverable"),
                    Ok(Shown::LeftToOthers) => span.fail("unreadable"),
                    Err(ShuttingDown) => span.fail("shutting-down"),
                }
                delivery.in_hand(|in_hand| in_hand.remove(&id));
            });
        }
    }

    /// Shows one answer and takes it out of the outbox.
    async fn deliver(
        &self,
        reply: &Reply,
        asked_at: Option<Instant>,
    ) -> Result<Shown, ShuttingDown> {
        let mut edit = None;
        let shown = self.show(reply, asked_at, &mut edit).await?;
        let Shown::Ended(how) = shown else { return Ok(shown) };
        if matches!(how, Delivered::Shown) {
            metrics::answer_shown(reply.task.task_type.as_str(), reply.task.submitted_at);
        }
        let queue = &self.parts.queue;
        let attempt = || async {
            let acknowledged = queue.acknowledge(reply, how).await;
            acknowledged.inspect_err(|error| {
                queue.note_trouble(Some(&reply.lane), "acknowledge an answer", &error.source);
            })
        };
        retry::until_ok(RetryPolicy::fixed(RETRY_PAUSE), &self.parts.shutdown, attempt).await?;
        queue.note_delivered(reply, how, edit.as_ref().and_then(MessageEdit::shown_in));
        Ok(shown)
    }

    fn in_hand<R>(&self, change: impl FnOnce(&mut InHand) -> R) -> R {
        change(&mut self.in_hand.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows one answer.
    async fn show(
        &self,
        reply: &Reply,
        asked_at: Option<Instant>,
        edit: &mut Option<MessageEdit>,
    ) -> Result<Shown, ShuttingDown> {
        let id = &reply.task.task_id;
        let to = reply.task.reply_to.clone().map(serde_json::from_value::<ReplyTo>);
        let Some(Ok(to)) = to else { return Ok(self.show_unreadable(reply).await) };
        let mut pauses = RetryPolicy::exponential(RETRY_PAUSE, LONGEST_PAUSE).pauses();
        let mut sent = None;
        loop {
            // This process may be sending the placeholder at the moment.
            let own = self.parts.placeholders.answered(id).await;
            let ours_alone = asked_at.is_some_and(|asked_at| asked_at.elapsed() < OURS_ALONE);
            if let Some(own) = own.as_ref().filter(|_| !ours_alone) {
                own.counts().await;
            }
            let own = own.filter(|_| ours_alone);
            // Released before each pause: one slow chat must not delay the answers of others.
            let slot = self.slots.acquire().await;
            let attempt = self.attempt(reply, &to, own.as_ref(), &mut sent, edit).await;
            drop(slot);
            let wait = match attempt {
                Ok(Attempt::Done) => return Ok(Shown::Ended(Delivered::Shown)),
                // It stays in the outbox until no older edit can replace it: if this process dies, another one repeats it.
                Ok(Attempt::Again) => {
                    self.parts.shutdown.sleep(REPEATED_AFTER).await?;
                    continue;
                }
                Err(DeliveryError::OtherPlaceholder) => continue,
                Err(DeliveryError::PlaceholderComes) => {
                    self.parts.shutdown.sleep(PLACEHOLDER_COMES).await?;
                    continue;
                }
                Err(DeliveryError::Redis(error)) => {
                    self.parts.queue.note_trouble(Some(&reply.lane), "show an answer", &error);
                    // No backoff: the answer is shown as soon as Redis works again.
                    self.parts.shutdown.sleep(RETRY_PAUSE).await?;
                    continue;
                }
                Err(DeliveryError::Bot(BotError::Unreachable)) => {
                    tracing::info!(task_id = %id, "answer dropped: the bot cannot write to the chat");
                    return Ok(Shown::Ended(Delivered::Undeliverable));
                }
                Err(DeliveryError::Bot(error)) => {
                    match error.try_again_after(pauses.next_pause()) {
                        Some(wait) => {
                            tracing::debug!(task_id = %id, error = %error, "answer delayed by the Bot API");
                            wait
                        }
                        None => {
                            tracing::error!(task_id = %id, error = %error, "answer dropped: the Bot API refuses it");
                            return Ok(Shown::Ended(Delivered::Undeliverable));
                        }
                    }
                }
            };
            self.parts.shutdown.sleep(wait).await?;
        }
    }

    /// Leaves an unreadable answer, of another release, to other coordinators for a while. Then tells the person that it
    /// cannot be shown.
    async fn show_unreadable(&self, reply: &Reply) -> Shown {
        let id = &reply.task.task_id;
        let to = reply.task.reply_to.clone();
        let Some(Ok(address)) = to.map(serde_json::from_value::<ChatAddress>) else {
            tracing::warn!(task_id = %id, "answer dropped: its address is not readable");
            return Shown::Ended(Delivered::Undeliverable);
        };
        if reply.age() < LEFT_TO_OTHERS {
            tracing::warn!(task_id = %id, "answer not readable; left to other releases for 60 s");
            return Shown::LeftToOthers;
        }
        let screen = Screen::plain(Lang::En.text("cannot-show"));
        let sent = self.parts.sender.send(&address, &screen, Priority::Answer).await;
        tracing::error!(task_id = %id, sent = sent.is_ok(), "answer not readable");
        Shown::Ended(Delivered::Undeliverable)
    }

    /// `own` is the placeholder that this process has sent with the question, `sent` one that this delivery has sent, `edit` the
    /// state of earlier attempts.
    async fn attempt(
        &self,
        reply: &Reply,
        to: &ReplyTo,
        own: Option<&OwnPlaceholder>,
        sent: &mut Option<i64>,
        edit: &mut Option<MessageEdit>,
    ) -> Result<Attempt, DeliveryError> {
        let id = &reply.task.task_id;
        let own_id = own.map(|own| own.message_id);
        let message_id = match to.message_id.or(own_id) {
            Some(message_id) => message_id,
            None => {
                let sessions = &self.parts.sessions;
                let (found, ()) = tokio::join!(
                    self.placeholder(id, to, sent),
                    sessions.prefetch(to.address.session_key())
                );
                let Some(found) = found? else { return Ok(Attempt::Done) };
                found
            }
        };
        let view = view_name(id);
        let made_at = Instant::now();
        let mut forgotten = false;
        // The placeholder is recorded before the answer replaces it; at the same time as the session is stored.
        let recording = async {
            let Some(own) = own else { return Ok(()) };
            match tokio::time::timeout(RECORDED_WITHIN, own.counts()).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(DeliveryError::OtherPlaceholder),
                // Waited for without holding up other answers.
                Err(_elapsed) => Err(DeliveryError::PlaceholderComes),
            }
        };
        let updating = self.parts.sessions.update(to.address.session_key(), |session| {
            forgotten = false;
            session.forget_pending(id);
            // The message shows something newer by now.
            if !session.may_show(message_id, to.turn) {
                return None;
            }
            forgotten = session.has_forgotten(to.turn);
            if forgotten {
                // The person's data was deleted since: remember nothing.
                return Some(stopped(to.lang));
            }
            Some(answer::answer(session, view.clone(), &to.question, &reply.result))
        });
        let (screen, recorded) = tokio::join!(updating, recording);
        recorded?;
        let screen = screen.map_err(DeliveryError::Redis)?;
        let Some(screen) = screen else { return Ok(Attempt::Done) };
        let edit = edit.get_or_insert_with(|| MessageEdit::new(message_id, to.turn));
        let attempt = self.edit(id, to, edit, &screen).await?;
        let waited = attempt == Attempt::Done && made_at.elapsed() > SHOWN_AT_ONCE;
        // A new message in place of a deleted one cannot be taken back.
        if waited && !forgotten && !edit.instead && self.has_forgotten(to).await? {
            return Ok(Attempt::Again);
        }
        Ok(attempt)
    }

    /// Whether the person's data was deleted after the question.
    async fn has_forgotten(&self, to: &ReplyTo) -> Result<bool, DeliveryError> {
        let session = self.parts.sessions.load(to.address.session_key()).await;
        Ok(session.map_err(DeliveryError::Redis)?.has_forgotten(to.turn))
    }

    async fn edit(
        &self,
        id: &TaskId,
        to: &ReplyTo,
        edit: &mut MessageEdit,
        screen: &Screen,
    ) -> Result<Attempt, DeliveryError> {
        let editor = &self.parts.editor;
        match editor.attempt(&to.address, edit, screen, Priority::Answer).await {
            Err(BotError::MessageGone) if !edit.instead => {
                if ledger::read(&self.parts.queue, id)
                    .await
                    .map_err(DeliveryError::queue)?
                    .delivered()
                {
                    return Ok(Attempt::Done);
                }
                // The person deleted the message, and still wants the answer.
                edit.instead = true;
                let sent = editor.attempt(&to.address, edit, screen, Priority::Answer).await;
                sent.map_err(DeliveryError::Bot)
            }
            Err(BotError::Refused(reason)) => {
                tracing::error!(task_id = %id, error = reason, "Telegram refused an answer");
                let instead = Screen::plain(to.lang.text("cannot-show"));
                let said = editor.attempt(&to.address, edit, &instead, Priority::Answer).await;
                said.map_err(DeliveryError::Bot)
            }
            edited => edited.map_err(DeliveryError::Bot),
        }
    }

    /// The message that the answer replaces; none when the answer is shown already.
    ///
    /// If there is no placeholder (its sender died), one is sent and noted first: a crash in between leaves a second
    /// placeholder, never a second answer.
    async fn placeholder(
        &self,
        id: &TaskId,
        to: &ReplyTo,
        sent: &mut Option<i64>,
    ) -> Result<Option<i64>, DeliveryError> {
        let queue = &self.parts.queue;
        let until = Instant::now() + PLACEHOLDER_WAIT;
        while sent.is_none() {
            let entry = ledger::read(queue, id).await.map_err(DeliveryError::queue)?;
            if entry.delivered() {
                return Ok(None);
            }
            if let Some(message_id) = entry.message_id {
                return Ok(Some(message_id));
            }
            if entry.announced {
                return Err(DeliveryError::PlaceholderComes);
            }
            if until <= Instant::now() {
                // The question is not repeated to somebody who had their data deleted.
                let screen = if self.has_forgotten(to).await? {
                    stopped(to.lang)
                } else {
                    to.question.placeholder(to.lang, &view_name(id))
                };
                let placed = self.parts.sender.send(&to.address, &screen, Priority::Answer).await;
                *sent = Some(placed.map_err(DeliveryError::Bot)?);
                break;
            }
            tokio::time::sleep(PLACEHOLDER_LOOK).await;
        }
        let Some(placed) = *sent else { return Ok(None) };
        let recorded = ledger::record_placeholder(queue, id, placed).await;
        let entry = recorded.map_err(DeliveryError::queue)?;
        if entry.message_id != Some(placed) {
            // Another placeholder was noted first.
            self.parts.placeholders.remove(to.address.chat_id, placed).await;
            *sent = None;
        }
        Ok(entry.message_id.filter(|_| !entry.delivered()))
    }
}

/// What became of an answer.
enum Shown {
    /// It leaves the outbox.
    Ended(Delivered),
    /// It stays there for coordinators of another release.
    LeftToOthers,
}

/// Why an answer cannot be shown at the moment.
enum DeliveryError {
    Redis(redis::RedisError),
    Bot(BotError),
    /// The placeholder that this process has sent does not count. The ledger says which one does.
    OtherPlaceholder,
    /// Another coordinator's placeholder waits for the rate limit, or this one's is not recorded yet. The answer must not
    /// overtake earlier messages of its chat.
    PlaceholderComes,
}

impl DeliveryError {
    fn queue(error: queue::RedisError) -> Self {
        Self::Redis(error.source)
    }
}

/// In place of an answer that is not to be shown.
fn stopped(lang: Lang) -> Screen {
    Screen::plain(format!("✋ {}", lang.failure(Some(FailureCode::Cancelled))))
}

/// Whether the interval's next tick has come, without waiting for it.
fn look_due(look: &mut tokio::time::Interval) -> bool {
    use std::task::{Context, Waker};
    look.poll_tick(&mut Context::from_waker(Waker::noop())).is_ready()
}
