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

use super::message_edit::{Changed, MessageChange, REPEATED_AFTER};
use crate::chat::address::Place;
use crate::chat::callback::view_name;
use crate::chat::flow::answer;
use crate::chat::question::ReplyTo;
use crate::chat::screen::Screen;
use crate::chat::text::Lang;
use crate::conversation::handler::Performer;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::Urgency;

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

/// Shows answers until `shutdown`.
pub(crate) async fn deliver_until(
    queue: TaskQueue,
    performer: Arc<Performer>,
    me: String,
    shutdown: CancellationToken,
) {
    let delivery = Arc::new(Delivery {
        performer,
        slots: Semaphore::new(AT_ONCE),
        in_hand: Mutex::default(),
        running: TaskTracker::new(),
    });
    let mut outbox = Outbox::new(&queue, &me);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !shutdown.is_cancelled() {
        if look_due(&mut look) {
            delivery.look(&mut outbox).await;
        }
        if IN_HAND_AT_MOST <= delivery.in_hand(|in_hand| in_hand.len()) {
            // They wait for Telegram; what is not read yet waits in Redis.
            tokio::time::sleep(AFTER_TROUBLE).await;
            continue;
        }
        match outbox.read(READ_AT_ONCE, READ_WAIT).await {
            Ok(read) => delivery.start(read),
            // The outbox pauses by itself before it asks the same Redis again.
            Err(error) => {
                queue.note_trouble(None, "read the outbox", &error.source);
            }
        }
    }
    delivery.running.close();
    if tokio::time::timeout(DRAIN, delivery.running.wait()).await.is_err() {
        tracing::warn!("some answers were not shown in time; another coordinator takes them over");
    }
}

/// Answers and their places in the outbox.
type InHand = HashMap<TaskId, (Lane, String)>;

struct Delivery {
    performer: Arc<Performer>,
    slots: Semaphore,
    /// Answers that are being shown, so that taking over does not take from ourselves.
    in_hand: Mutex<InHand>,
    running: TaskTracker,
}

impl Delivery {
    /// Looks which types there are, and takes over what a dead coordinator had in hand.
    async fn look(self: &Arc<Self>, outbox: &mut Outbox) {
        if let Err(error) = outbox.refresh_lanes().await {
            self.queue().note_trouble(None, "look for the outbox's types", &error.source);
        }
        // What waits here for Telegram is nobody else's.
        let held = self.in_hand(|in_hand| in_hand.values().cloned().collect::<Vec<_>>());
        if let Err(error) = outbox.hold(&held).await {
            self.queue().note_trouble(None, "hold answers", &error.source);
        }
        match outbox.take_over(READ_AT_ONCE, ABANDONED_AFTER).await {
            Ok(abandoned) => self.start(abandoned),
            Err(error) => {
                self.queue().note_trouble(None, "take answers over", &error.source);
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
            self.performer.tempo.note(&reply.task.task_type, &reply.result);
            self.running.spawn(async move {
                if let Some(how) = delivery.show(&reply).await {
                    while let Err(error) = delivery.performer.queue.acknowledge(&reply, how).await {
                        let lane = Some(&reply.lane);
                        delivery.queue().note_trouble(lane, "acknowledge an answer", &error.source);
                        if delivery.performer.pause(AFTER_TROUBLE).await.is_none() {
                            break;
                        }
                    }
                }
                delivery.in_hand(|in_hand| in_hand.remove(&id));
            });
        }
    }

    fn queue(&self) -> &TaskQueue {
        &self.performer.queue
    }

    fn in_hand<R>(&self, change: impl FnOnce(&mut InHand) -> R) -> R {
        change(&mut self.in_hand.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows one answer. None when it stays in the outbox: the process is shutting down.
    async fn show(&self, reply: &Reply) -> Option<Delivered> {
        let id = &reply.task.task_id;
        let to = reply.task.reply_to.clone().map(serde_json::from_value::<ReplyTo>);
        let Some(Ok(to)) = to else { return self.show_what_cannot_be_read(reply).await };
        let (mut pause, mut mine, mut change) = (AFTER_TROUBLE, None, None);
        loop {
            // Sent by this process, it may have to wait for room; the answer's own place in line is not lost meanwhile.
            self.performer.placeholders.settled(id).await;
            // Given back while it waits: one chat that is slowed down must not keep others from their answers.
            let slot = self.slots.acquire().await;
            let attempt = self.attempt(reply, &to, &mut mine, &mut change).await;
            drop(slot);
            let wait = match attempt {
                Ok(Changed::Done) => return Some(Delivered::Shown),
                // It stays in the outbox until nothing can cover it: should this process die, another one repeats it.
                Ok(Changed::Again) => {
                    self.performer.pause(REPEATED_AFTER).await?;
                    continue;
                }
                Err(Trouble::PlaceholderComes) => {
                    self.performer.pause(PLACEHOLDER_COMES).await?;
                    continue;
                }
                Err(Trouble::Redis(error)) => {
                    self.queue().note_trouble(Some(&reply.lane), "show an answer", &error);
                    // Not longer and longer: it goes out as soon as Redis takes what belongs to it.
                    self.performer.pause(AFTER_TROUBLE).await?;
                    continue;
                }
                Err(Trouble::Bot(BotError::Unreachable)) => {
                    tracing::info!(task_id = %id, "the chat cannot be written to any more; its answer ends here");
                    return Some(Delivered::Undeliverable);
                }
                Err(Trouble::Bot(error)) => match error.try_again_after(pause) {
                    Some(wait) => {
                        tracing::debug!(task_id = %id, error = %error, "an answer waits for the Bot API");
                        wait
                    }
                    None => {
                        tracing::error!(task_id = %id, error = %error, "an answer could not be shown");
                        return Some(Delivered::Undeliverable);
                    }
                },
            };
            self.performer.pause(wait).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// An answer whose question another release asked stays for a while: one that can read it may be there. Then the
    /// person is told that it cannot be shown.
    async fn show_what_cannot_be_read(&self, reply: &Reply) -> Option<Delivered> {
        let id = &reply.task.task_id;
        let to = reply.task.reply_to.clone();
        let Some(Ok(place)) = to.map(serde_json::from_value::<Place>) else {
            tracing::warn!(task_id = %id, "an answer does not say where it goes; dropped");
            return Some(Delivered::Undeliverable);
        };
        if reply.age() < LEFT_TO_OTHERS {
            tracing::warn!(task_id = %id, "an answer cannot be read here; left to another release for a minute");
            return None;
        }
        let screen = Screen::plain(Lang::En.text("cannot-show"));
        let sent = self.performer.sender.send(&place, &screen, Urgency::Answer).await;
        tracing::error!(task_id = %id, sent = sent.is_ok(), "an answer cannot be read");
        Some(Delivered::Undeliverable)
    }

    /// `mine` is a placeholder that this delivery has sent, `change` what became of earlier attempts.
    async fn attempt(
        &self,
        reply: &Reply,
        to: &ReplyTo,
        mine: &mut Option<i64>,
        change: &mut Option<MessageChange>,
    ) -> Result<Changed, Trouble> {
        let (performer, id) = (&self.performer, &reply.task.task_id);
        let message_id = match to.message_id {
            Some(message_id) => message_id,
            None => match self.placeholder(id, to, mine).await? {
                Some(found) => found,
                None => return Ok(Changed::Done),
            },
        };
        let view = view_name(id);
        let screen = performer
            .sessions
            .update(to.place.who(), |session| {
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
            .map_err(Trouble::Redis)?;
        let Some(screen) = screen else { return Ok(Changed::Done) };
        let change = change.get_or_insert_with(|| MessageChange::new(message_id, to.turn));
        self.edit(id, to, change, &screen).await
    }

    async fn edit(
        &self,
        id: &TaskId,
        to: &ReplyTo,
        change: &mut MessageChange,
        screen: &Screen,
    ) -> Result<Changed, Trouble> {
        let performer = &self.performer;
        match performer.change(&to.place, change, screen, Urgency::Answer).await {
            Err(BotError::MessageGone) if !change.instead => {
                if performer.queue.ledger(id).await.map_err(Trouble::queue)?.delivered() {
                    return Ok(Changed::Done);
                }
                // The person deleted it and still wants their answer.
                change.instead = true;
                let sent = performer.change(&to.place, change, screen, Urgency::Answer).await;
                sent.map_err(Trouble::Bot)
            }
            Err(BotError::Refused(reason)) => {
                tracing::error!(task_id = %id, error = reason, "Telegram does not take an answer");
                let instead = Screen::plain(to.lang.text("cannot-show"));
                let said = performer.change(&to.place, change, &instead, Urgency::Answer).await;
                said.map_err(Trouble::Bot)
            }
            changed => changed.map_err(Trouble::Bot),
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
        mine: &mut Option<i64>,
    ) -> Result<Option<i64>, Trouble> {
        let queue = &self.performer.queue;
        let until = Instant::now() + PLACEHOLDER_WAIT;
        while mine.is_none() {
            let ledger = queue.ledger(id).await.map_err(Trouble::queue)?;
            if ledger.delivered() {
                return Ok(None);
            }
            if let Some(message_id) = ledger.message_id {
                return Ok(Some(message_id));
            }
            if ledger.being_placed {
                return Err(Trouble::PlaceholderComes);
            }
            if until <= Instant::now() {
                let screen = to.question.placeholder(to.lang, &view_name(id));
                let sent = self.performer.sender.send(&to.place, &screen, Urgency::Answer).await;
                *mine = Some(sent.map_err(Trouble::Bot)?);
                break;
            }
            tokio::time::sleep(PLACEHOLDER_LOOK).await;
        }
        let Some(sent) = *mine else { return Ok(None) };
        let ledger = queue.note_placeholder(id, sent).await.map_err(Trouble::queue)?;
        if ledger.message_id != Some(sent) {
            // Another one came first; ours is in the way.
            self.performer.remove_placeholder(to.place.chat_id, sent).await;
            *mine = None;
        }
        Ok(ledger.message_id.filter(|_| !ledger.delivered()))
    }
}

/// What keeps an answer from being shown at the moment.
enum Trouble {
    Redis(redis::RedisError),
    Bot(BotError),
    /// Another coordinator waits for room for it: an answer must not overtake what was asked before in its chat.
    PlaceholderComes,
}

impl Trouble {
    fn queue(error: queue::RedisError) -> Self {
        Self::Redis(error.source)
    }
}

/// Whether the interval's next tick has come, without waiting for it.
fn look_due(look: &mut tokio::time::Interval) -> bool {
    use std::task::{Context, Waker};
    look.poll_tick(&mut Context::from_waker(Waker::noop())).is_ready()
}
