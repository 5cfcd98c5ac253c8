//! A question becomes a task, with a placeholder where its answer will be.

use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use queue::error::SubmitError;
use queue::{Lane, SubmitOptions, Submitted, Task, TaskId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::delay_notice::{AskedFor, Kept};
use super::handler::{AFTER_TROUBLE, Performer};
use crate::answers::progress;
use crate::chat::address::Place;
use crate::chat::callback::view_name;
use crate::chat::effect::Pressed;
use crate::chat::question::ReplyTo;
use crate::chat::screen::Screen;
use crate::chat_order::Turn;
use crate::telegram::bot_api::BotError;

/// A placeholder that is not there by then is no use any more; the delivery sends its own.
const PLACEHOLDER_AT_MOST: Duration = Duration::from_secs(10);
/// How often it is said that a placeholder waits for room, and looked whether it still has to: the first time before another
/// coordinator that has the answer loses its patience.
const PLACING_SAID_AGAIN: Duration = Duration::from_millis(700);
/// The same button pressed again within this time is the same press.
const DOUBLE_PRESS: Duration = Duration::from_secs(2);

impl Performer {
    /// Submits a question's task; the update is safe once Redis has it.
    pub(super) async fn ask(
        self: &Arc<Self>,
        lane: &Lane,
        id: TaskId,
        reply_to: ReplyTo,
        pressed: Option<Pressed>,
    ) -> bool {
        let (place, lang) = (reply_to.place, reply_to.lang);
        let mut task = Task::in_lane(lane, place.owner, reply_to.question.params());
        task.task_id = id;
        task.reply_to = serde_json::to_value(&reply_to).ok();
        // A button that is pressed twice changes its message once; a name that is sent twice is asked twice.
        let options = match &pressed {
            Some(pressed) => SubmitOptions {
                same_within: DOUBLE_PRESS,
                same_place: pressed.message_id,
                ..SubmitOptions::default()
            },
            None => SubmitOptions::default(),
        };
        let on_its_way = pressed.is_none().then(|| self.placeholders.begin(&task.task_id));
        let asked = AskedFor { id: task.task_id.clone(), place, lang, pressed: pressed.clone() };
        let mut kept = Kept::new();
        let refusal = loop {
            match self.queue.submit_with(&task, options).await {
                Ok(submitted) => {
                    tracing::debug!(task_id = %task.task_id, ?submitted, "task submitted");
                    // A task that was there already has its placeholder, or its answer makes one.
                    let new = matches!(submitted, Submitted::New { .. });
                    if let Some(pressed) = pressed {
                        let note = reply_to.question.note(lang);
                        self.answer_button(pressed.query_id, Some(note));
                    }
                    if new {
                        self.accompany(task, reply_to, on_its_way);
                    }
                    return true;
                }
                Err(SubmitError::Redis(error)) => {
                    self.queue.note_trouble(Some(lane), "submit a task", &error);
                    kept.refused(self, &error, &asked).await;
                    if self.pause(AFTER_TROUBLE).await.is_none() {
                        return false;
                    }
                }
                Err(SubmitError::UserLimit { .. }) => break "one-at-a-time",
                Err(SubmitError::TooLarge { .. }) => break "failure-too-long",
                Err(error) => {
                    tracing::warn!(error = %error, "task refused");
                    break "busy";
                }
            }
        };
        let who = place.who();
        let forgotten =
            self.sessions.update(who, |session| session.forget_pending(&task.task_id)).await;
        if let Err(error) = forgotten {
            tracing::debug!(error = %error, "a refused question stays in the list; its task is nowhere");
        }
        let refusal = lang.text(refusal);
        match pressed {
            Some(pressed) => {
                self.answer_button(pressed.query_id, Some(refusal));
                true
            }
            None => {
                let screen = Screen::plain(refusal);
                self.tell(place, screen).await
            }
        }
    }

    /// Sends a placeholder behind the caller's back, and makes the wait easier while it lasts.
    pub(super) fn accompany(
        self: &Arc<Self>,
        task: Task,
        reply_to: ReplyTo,
        on_its_way: Option<crate::answers::placeholder::OnItsWay>,
    ) {
        let performer = Arc::clone(self);
        let turn = on_its_way.is_some().then(|| self.turns.join(reply_to.place.chat_id));
        self.background.spawn(async move {
            let id = &task.task_id;
            let mut message_id = reply_to.message_id;
            if let Some(turn) = &turn {
                let screen = reply_to.question.placeholder(reply_to.lang, &view_name(id));
                let placed = performer.place(id, turn, &reply_to.place, &screen).await;
                if let Some(Ok(placeholder)) = placed {
                    let counts = performer.note_placeholder(&reply_to.place, id, placeholder).await;
                    message_id = counts.then_some(placeholder);
                }
            }
            drop((turn, on_its_way));
            progress::accompany(&performer, &task, &reply_to, message_id).await;
        });
    }

    /// Sends a placeholder in its turn, unless there is another by the time that there is room for it. Until then the
    /// ledger knows that it comes: whoever has the answer would send one before its turn.
    pub(super) async fn place(
        &self,
        id: &TaskId,
        turn: &Turn,
        place: &Place,
        screen: &Screen,
    ) -> Option<Result<i64, BotError>> {
        let needless = CancellationToken::new();
        let placing = std::pin::pin!(async {
            turn.come().await;
            let until = Instant::now() + PLACEHOLDER_AT_MOST;
            self.insist(until, || self.sender.place(place, screen, &needless)).await
        });
        let looking = std::pin::pin!(async {
            loop {
                tokio::time::sleep(PLACING_SAID_AGAIN).await;
                // Redis may be away; it is asked again.
                let ledger = self.queue.ledger(id).await.unwrap_or_default();
                if ledger.delivered() || ledger.message_id.is_some() {
                    return;
                }
                let _ = self.queue.note_placing(id).await; // The same.
            }
        });
        match futures::future::select(placing, looking).await {
            Either::Left((placed, _looking)) => placed,
            Either::Right(((), placing)) => {
                // What is on its way already is waited for: it has to be removed.
                needless.cancel();
                placing.await
            }
        }
    }

    /// Tells the ledger where the answer goes; removes the placeholder when another one came first or the answer did.
    /// Whether it is the one that counts.
    pub(super) async fn note_placeholder(
        &self,
        place: &Place,
        id: &TaskId,
        message_id: i64,
    ) -> bool {
        let until = Instant::now() + PLACEHOLDER_AT_MOST;
        let in_the_way = loop {
            match self.queue.note_placeholder(id, message_id).await {
                Ok(ledger) => break ledger.message_id != Some(message_id),
                // It may be noted all the same, and be the answer by now: better one message too many than none.
                Err(error) if until < Instant::now() => {
                    tracing::warn!(error = %error.source, "a placeholder could not be noted");
                    return false;
                }
                Err(_) => {
                    if self.pause(AFTER_TROUBLE).await.is_none() {
                        return false;
                    }
                }
            }
        };
        if in_the_way {
            self.remove_placeholder(place.chat_id, message_id).await;
        }
        !in_the_way
    }

    /// Removes a placeholder that another one or the answer has made needless. One that stays is no harm.
    pub(crate) async fn remove_placeholder(&self, chat_id: i64, message_id: i64) {
        if let Err(error) = self.sender.delete(chat_id, message_id).await {
            tracing::debug!(error = %error, "a placeholder could not be removed");
        }
    }
}
