//! From the outbox to the chat: every finished task's answer is shown by some coordinator.
//!
//! An answer is only ever an *edit*, of the message whose button was pressed or of the question's placeholder: showing
//! it twice shows it once. It leaves the outbox when Telegram has accepted it, so what a dead coordinator had read is
//! taken over and shown by another. A chat that cannot be written to any more ends its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use queue::{Delivered, FailureCode, Lane, Outbox, Reply, TaskId, TaskQueue};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::message_edit::{Attempt, MessageEdit, MessageEditor, REPEATED_AFTER};
use super::placeholder::Placeholders;
use crate::chat::address::ChatAddress;
use crate::chat::callback::view_name;
use crate::chat::flow::answer;
use crate::chat::question::ReplyTo;
use crate::chat::screen::Screen;
use crate::chat::text::Lang;
use crate::session_store::SessionStore;
use crate::shutdown::{Shutdown, ShuttingDown};
use crate::telegram::bot_api::BotError;
use crate::telegram::send::{Priority, Sender};
use crate::wait_estimator::WaitEstimator;

/// Answers shown at once; more would only wait for Telegram's own limits.
const AT_ONCE: usize = 64;
/// Answers in hand, most of which wait because Telegram asked to.
const IN_HAND_AT_MOST: usize = 2_000;
const READ_AT_ONCE: usize = 64;
const READ_WAIT: Duration = Duration::from_secs(1);
/// How often new task types and dead coordinators' answers are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// An answer that was read this long ago and not acknowledged belongs to a dead or stuck coordinator.
const ABANDONED_AFTER: Duration = Duration::from_secs(8);
/// How long a placeholder that another coordinator may be sending is waited for.
const PLACEHOLDER_WAIT: Duration = Duration::from_secs(2);
const PLACEHOLDER_LOOK: Duration = Duration::from_millis(50);
/// The same when it is known that it waits for Telegram's limits.
const PLACEHOLDER_COMES: Duration = Duration::from_millis(500);
/// How long an answer that cannot be read here is left to coordinators of another release.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(60);
const AFTER_TROUBLE: Duration = Duration::from_millis(500);
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
    /// Answers that are being shown, so that taking over does not take from ourselves.
    in_hand: Mutex<InHand>,
    running: TaskTracker,
}

impl Delivery {
    /// Nothing is delivered until it runs.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            slots: Semaphore::new(AT_ONCE),
            in_hand: Mutex::default(),
            running: TaskTracker::new(),
        })
    }

    /// Shows answers until `shutdown`. `me` names this coordinator.
    pub(crate) async fn run_until(self: Arc<Self>, me: String, shutdown: CancellationToken) {
        let mut outbox = Outbox::new(&self.parts.queue, &me);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            if look_due(&mut look) {
                self.look(&mut outbox).await;
            }
            if self.in_hand(|in_hand| in_hand.len()) >= IN_HAND_AT_MOST {
                // They wait for Telegram; what is not read yet waits in Redis.
                tokio::time::sleep(AFTER_TROUBLE).await;
                continue;
            }
            match outbox.read(READ_AT_ONCE, READ_WAIT).await {
                Ok(read) => self.start(read),
                // The outbox pauses by itself before it asks the same Redis again.
                Err(error) => {
                    self.parts.queue.note_trouble(None, "read the outbox", &error.source);
                }
            }
        }
        self.running.close();
        if tokio::time::timeout(DRAIN, self.running.wait()).await.is_err() {
            tracing::warn!(
                "some answers were not shown in time; another coordinator takes them over"
            );
        }
    }

    /// Looks which types there are, and takes over what a dead coordinator had in hand.
    async fn look(self: &Arc<Self>, outbox: &mut Outbox) {
        if let Err(error) = outbox.refresh_lanes().await {
            self.parts.queue.note_trouble(None, "look for the outbox's types", &error.source);
        }
        // What waits here for Telegram is nobody else's.
        let held = self.in_hand(|in_hand| in_hand.values().cloned().collect::<Vec<_>>());
        if let Err(error) = outbox.hold(&held).await {
            self.parts.queue.note_trouble(None, "hold answers", &error.source);
        }
        match outbox.take_over(READ_AT_ONCE, ABANDONED_AFTER).await {
            Ok(abandoned) => self.start(abandoned),
            Err(error) => {
                self.parts.queue.note_trouble(None, "take answers over", &error.source);
            }
        }
    }

    fn start(self: &Arc<Self>, replies: Vec<Reply>) {
        for reply in replies {
            let id = reply.task.task_id.clone();
            let entry = (reply.lane.clone(), reply.entry.clone());
            if self.in_hand(|in_hand| in_hand.insert(id.clone(), entry)).is_some() {
                continue;
            }
            let delivery = Arc::clone(self);
            self.parts.estimator.record_run(&reply.task.task_type, &reply.result);
            self.running.spawn(async move {
                let _ = delivery.deliver(&reply).await; // What is left is taken over by another coordinator.
                delivery.in_hand(|in_hand| in_hand.remove(&id));
            });
        }
    }

    /// Shows one answer and takes it out of the outbox.
    async fn deliver(&self, reply: &Reply) -> Result<(), ShuttingDown> {
        let Shown::Ended(how) = self.show(reply).await? else { return Ok(()) };
        while let Err(error) = self.parts.queue.acknowledge(reply, how).await {
            let lane = Some(&reply.lane);
            self.parts.queue.note_trouble(lane, "acknowledge an answer", &error.source);
            self.parts.shutdown.sleep(AFTER_TROUBLE).await?;
        }
        Ok(())
    }

    fn in_hand<R>(&self, change: impl FnOnce(&mut InHand) -> R) -> R {
        change(&mut self.in_hand.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows one answer.
    async fn show(&self, reply: &Reply) -> Result<Shown, ShuttingDown> {
        let id = &reply.task.task_id;
        let to = reply.task.reply_to.clone().map(serde_json::from_value::<ReplyTo>);
        let Some(Ok(to)) = to else { return Ok(self.show_unreadable(reply).await) };
        let mut pause = AFTER_TROUBLE;
        let mut sent = None;
        let mut edit = None;
        loop {
            // Sent by this process, it may have to wait for room; the answer's own place in line is not lost meanwhile.
            self.parts.placeholders.settled(id).await;
            // Given back while it waits: one chat that is slowed down must not keep others from their answers.
            let slot = self.slots.acquire().await;
            let attempt = self.attempt(reply, &to, &mut sent, &mut edit).await;
            drop(slot);
            let wait = match attempt {
                Ok(Attempt::Done) => return Ok(Shown::Ended(Delivered::Shown)),
                // It stays in the outbox until nothing can cover it: should this process die, another one repeats it.
                Ok(Attempt::Again) => {
                    self.parts.shutdown.sleep(REPEATED_AFTER).await?;
                    continue;
                }
                Err(DeliveryError::PlaceholderComes) => {
                    self.parts.shutdown.sleep(PLACEHOLDER_COMES).await?;
                    continue;
                }
                Err(DeliveryError::Redis(error)) => {
                    self.parts.queue.note_trouble(Some(&reply.lane), "show an answer", &error);
                    // Not longer and longer: it goes out as soon as Redis takes what belongs to it.
                    self.parts.shutdown.sleep(AFTER_TROUBLE).await?;
                    continue;
                }
                Err(DeliveryError::Bot(BotError::Unreachable)) => {
                    tracing::info!(task_id = %id, "the chat cannot be written to any more; its answer ends here");
                    return Ok(Shown::Ended(Delivered::Undeliverable));
                }
                Err(DeliveryError::Bot(error)) => match error.try_again_after(pause) {
                    Some(wait) => {
                        tracing::debug!(task_id = %id, error = %error, "an answer waits for the Bot API");
                        wait
                    }
                    None => {
                        tracing::error!(task_id = %id, error = %error, "an answer could not be shown");
                        return Ok(Shown::Ended(Delivered::Undeliverable));
                    }
                },
            };
            self.parts.shutdown.sleep(wait).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// An answer whose question another release asked stays for a while: one that can read it may be there. Then the
    /// person is told that it cannot be shown.
    async fn show_unreadable(&self, reply: &Reply) -> Shown {
        let id = &reply.task.task_id;
        let to = reply.task.reply_to.clone();
        let Some(Ok(address)) = to.map(serde_json::from_value::<ChatAddress>) else {
            tracing::warn!(task_id = %id, "an answer does not say where it goes; dropped");
            return Shown::Ended(Delivered::Undeliverable);
        };
        if reply.age() < LEFT_TO_OTHERS {
            tracing::warn!(task_id = %id, "an answer cannot be read here; left to another release for a minute");
            return Shown::LeftToOthers;
        }
        let screen = Screen::plain(Lang::En.text("cannot-show"));
        let sent = self.parts.sender.send(&address, &screen, Priority::Answer).await;
        tracing::error!(task_id = %id, sent = sent.is_ok(), "an answer cannot be read");
        Shown::Ended(Delivered::Undeliverable)
    }

    /// `sent` is a placeholder that this delivery has sent, `edit` what became of earlier attempts.
    async fn attempt(
        &self,
        reply: &Reply,
        to: &ReplyTo,
        sent: &mut Option<i64>,
        edit: &mut Option<MessageEdit>,
    ) -> Result<Attempt, DeliveryError> {
        let id = &reply.task.task_id;
        let message_id = match to.message_id {
            Some(message_id) => message_id,
            None => match self.placeholder(id, to, sent).await? {
                Some(found) => found,
                None => return Ok(Attempt::Done),
            },
        };
        let view = view_name(id);
        let screen = self
            .parts
            .sessions
            .update(to.address.session_key(), |session| {
                session.forget_pending(id);
                // The person has gone on to something else on this message.
                if !session.may_show(message_id, to.turn) {
                    return None;
                }
                if session.has_forgotten(to.turn) {
                    // Nothing of it is to be remembered.
                    return Some(Screen::plain(format!(
                        "✋ {}",
                        to.lang.failure(Some(FailureCode::Cancelled))
                    )));
                }
                Some(answer::answer(session, view.clone(), &to.question, &reply.result))
            })
            .await
            .map_err(DeliveryError::Redis)?;
        let Some(screen) = screen else { return Ok(Attempt::Done) };
        let edit = edit.get_or_insert_with(|| MessageEdit::new(message_id, to.turn));
        self.edit(id, to, edit, &screen).await
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
                if self.parts.queue.ledger(id).await.map_err(DeliveryError::queue)?.delivered() {
                    return Ok(Attempt::Done);
                }
                // The person deleted it and still wants their answer.
                edit.instead = true;
                let sent = editor.attempt(&to.address, edit, screen, Priority::Answer).await;
                sent.map_err(DeliveryError::Bot)
            }
            Err(BotError::Refused(reason)) => {
                tracing::error!(task_id = %id, error = reason, "Telegram does not take an answer");
                let instead = Screen::plain(to.lang.text("cannot-show"));
                let said = editor.attempt(&to.address, edit, &instead, Priority::Answer).await;
                said.map_err(DeliveryError::Bot)
            }
            edited => edited.map_err(DeliveryError::Bot),
        }
    }

    /// The message that the answer replaces; none when the answer is out already.
    ///
    /// Without a placeholder (its sender died) one is sent and noted first: a crash in between leaves a placeholder
    /// too many, never an answer too many.
    async fn placeholder(
        &self,
        id: &TaskId,
        to: &ReplyTo,
        sent: &mut Option<i64>,
    ) -> Result<Option<i64>, DeliveryError> {
        let queue = &self.parts.queue;
        let until = Instant::now() + PLACEHOLDER_WAIT;
        while sent.is_none() {
            let ledger = queue.ledger(id).await.map_err(DeliveryError::queue)?;
            if ledger.delivered() {
                return Ok(None);
            }
            if let Some(message_id) = ledger.message_id {
                return Ok(Some(message_id));
            }
            if ledger.being_placed {
                return Err(DeliveryError::PlaceholderComes);
            }
            if until <= Instant::now() {
                let screen = to.question.placeholder(to.lang, &view_name(id));
                let placed = self.parts.sender.send(&to.address, &screen, Priority::Answer).await;
                *sent = Some(placed.map_err(DeliveryError::Bot)?);
                break;
            }
            tokio::time::sleep(PLACEHOLDER_LOOK).await;
        }
        let Some(placed) = *sent else { return Ok(None) };
        let ledger = queue.note_placeholder(id, placed).await.map_err(DeliveryError::queue)?;
        if ledger.message_id != Some(placed) {
            // Another one came first; ours is in the way.
            self.parts.placeholders.remove(to.address.chat_id, placed).await;
            *sent = None;
        }
        Ok(ledger.message_id.filter(|_| !ledger.delivered()))
    }
}

/// What became of an answer.
enum Shown {
    /// It leaves the outbox.
    Ended(Delivered),
    /// It stays there: a coordinator of another release may be able to read it.
    LeftToOthers,
}

/// What keeps an answer from being shown at the moment.
enum DeliveryError {
    Redis(redis::RedisError),
    Bot(BotError),
    /// Another coordinator waits for room for it: an answer must not overtake what was asked before in its chat.
    PlaceholderComes,
}

impl DeliveryError {
    fn queue(error: queue::RedisError) -> Self {
        Self::Redis(error.source)
    }
}

/// Whether the interval's next tick has come, without waiting for it.
fn look_due(look: &mut tokio::time::Interval) -> bool {
    use std::task::{Context, Waker};
    look.poll_tick(&mut Context::from_waker(Waker::noop())).is_ready()
}
