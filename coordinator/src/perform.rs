//! Carries out what a flow asks for.
//!
//! [`Performer::handle`] returns when the update may count as handled: its task is in Redis, or its reply is in the
//! chat. What only makes the wait nicer (the placeholder, the note on a button) goes on behind it.

use std::sync::Arc;
use std::time::Duration;

use queue::error::SubmitError;
use queue::{Lane, SubmitOptions, Submitted, Task, TaskId, TaskQueue};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bot_api::{BotApi, BotError};
use crate::event::{Effect, Incoming, Pressed};
use crate::flow;
use crate::placeholder::Placeholders;
use crate::question::{Question, ReplyTo};
use crate::render::Screen;
use crate::session::store::{SessionStore, Who};
use crate::text;

/// Pause after trouble with Redis.
const AFTER_TROUBLE: Duration = Duration::from_millis(300);
/// A reply that is no answer to a task is tried for this long, as long as a task would live.
const REPLY_AT_MOST: Duration = Duration::from_secs(120);
/// How long such a reply keeps its update from being confirmed.
const REPLY_HOLDS_UP: Duration = Duration::from_secs(10);
/// Telegram takes no answer to a press that is older.
const BUTTON_AT_MOST: Duration = Duration::from_secs(15);
/// A placeholder that is not there by then is no use any more; the delivery sends its own.
const PLACEHOLDER_AT_MOST: Duration = Duration::from_secs(10);
/// The same button pressed again within this time is the same press.
const DOUBLE_PRESS: Duration = Duration::from_secs(2);
/// Pause before a failed call to the Bot API is tried again.
const CALL_AGAIN: Duration = Duration::from_millis(500);

/// Does what flows ask for.
#[derive(Debug)]
pub struct Performer {
    /// The Bot API.
    pub bot: BotApi,
    /// Where tasks go.
    pub queue: TaskQueue,
    /// What is remembered about people.
    pub sessions: SessionStore,
    /// Placeholders on their way.
    pub placeholders: Placeholders,
    background: TaskTracker,
    shutdown: CancellationToken,
}

impl Performer {
    /// A performer that stops trying at `shutdown`.
    pub fn new(
        bot: BotApi,
        queue: TaskQueue,
        sessions: SessionStore,
        shutdown: CancellationToken,
    ) -> Self {
        let (placeholders, background) = (Placeholders::default(), TaskTracker::new());
        Self { bot, queue, sessions, placeholders, background, shutdown }
    }

    /// Handles one update. False when it has to be handled again: the process is shutting down.
    ///
    /// Handling the same update again does no harm: its tasks have the same ids, its replies say the same.
    pub async fn handle(self: &Arc<Self>, incoming: &Incoming) -> bool {
        let Some(effects) = self.react(incoming).await else { return false };
        for (ordinal, effect) in effects.into_iter().enumerate() {
            if !self.perform(incoming, ordinal, effect).await {
                return false;
            }
        }
        true
    }

    /// Waits for what goes on in the background.
    pub async fn settle(&self) {
        self.background.close();
        self.background.wait().await;
    }

    async fn react(&self, incoming: &Incoming) -> Option<Vec<Effect>> {
        loop {
            let change = self.sessions.update(incoming.who, |session| {
                flow::react(session, incoming.update_id, &incoming.event)
            });
            match change.await {
                Ok(effects) => return Some(effects),
                Err(error) => {
                    tracing::warn!(error = %error, "cannot read a session; trying again");
                    self.pause(AFTER_TROUBLE).await?;
                }
            }
        }
    }

    async fn perform(
        self: &Arc<Self>,
        incoming: &Incoming,
        ordinal: usize,
        effect: Effect,
    ) -> bool {
        let who = incoming.who;
        match effect {
            Effect::Say(screen) => self.reply(move |performer| performer.say(who, screen)).await,
            Effect::Show { message_id, screen, turn } => {
                self.reply(move |performer| performer.show(who, message_id, screen, turn)).await
            }
            Effect::AnswerButton { query_id, note } => {
                self.answer_button(query_id, note);
                true
            }
            Effect::Ask { question, pressed, turn } => {
                // An update's number comes again when the server counts anew, the message behind it does not.
                let (number, origin) = (incoming.update_id, &incoming.origin);
                let cause = format!("{}:{number}:{origin}:{ordinal}", self.bot.id());
                self.ask(who, &cause, question, pressed, turn).await
            }
        }
    }

    /// Makes a reply that is no answer to a task. One that takes long goes on beside the updates that follow: a chat
    /// that Telegram slows down must not hold up the others.
    async fn reply<F>(self: &Arc<Self>, make: impl FnOnce(Arc<Self>) -> F) -> bool
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let making = self.background.spawn(make(Arc::clone(self)));
        match tokio::time::timeout(REPLY_HOLDS_UP, making).await {
            Ok(joined) => joined.unwrap_or(true),
            Err(_) => true,
        }
    }

    /// Replaces a message, unless it shows what was asked later.
    async fn show(self: Arc<Self>, who: Who, message_id: i64, screen: Screen, turn: u64) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        let edit = || async {
            let may = self.sessions.update(who, |session| session.may_show(message_id, turn));
            match may.await {
                Ok(true) => self.bot.edit(who.chat_id, message_id, &screen).await,
                Ok(false) => Ok(()),
                Err(error) => Err(BotError::Transient(error.to_string())),
            }
        };
        match self.insist(until, edit).await {
            // Its message was deleted: the person pressed a button on it a moment ago, so they want to see it.
            Some(Err(BotError::MessageGone)) => Arc::clone(&self).say(who, screen).await,
            Some(_) => true,
            None => false,
        }
    }

    async fn say(self: Arc<Self>, who: Who, screen: Screen) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        let mut sent = self.insist(until, || self.bot.send(who.chat_id, &screen)).await;
        if let Some(Err(BotError::Moved(chat_id))) = sent {
            sent = self.insist(until, || self.bot.send(chat_id, &screen)).await;
        }
        match sent {
            Some(Err(error)) => {
                tracing::warn!(error = %error, "a reply could not be sent");
                true
            }
            Some(Ok(_)) => true,
            None => false,
        }
    }

    /// Submits a question's task; the update is safe once Redis has it.
    async fn ask(
        self: &Arc<Self>,
        who: Who,
        cause: &str,
        question: Question,
        pressed: Option<Pressed>,
        turn: u64,
    ) -> bool {
        let Some(task_type) = question.task_type() else { return true };
        let lane = self.queue.lane_of(&task_type, who.user_id);
        let task = new_task(&lane, who, cause, &question, pressed.as_ref(), turn);
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
        let refusal = loop {
            match self.queue.submit_with(&task, options).await {
                Ok(submitted) => {
                    tracing::debug!(task_id = %task.task_id, ?submitted, "task submitted");
                    // A task that was there already has its placeholder, or its answer makes one.
                    let new = matches!(submitted, Submitted::New { .. });
                    let placeholder = on_its_way.filter(|_| new);
                    match (pressed, placeholder) {
                        (Some(pressed), _) => {
                            self.answer_button(pressed.query_id, Some(question.note()));
                        }
                        (None, Some(on_its_way)) => {
                            self.place(who, task.task_id, question.placeholder(), on_its_way);
                        }
                        (None, None) => {}
                    }
                    return true;
                }
                Err(SubmitError::Redis(error)) => {
                    tracing::warn!(error = %error, "cannot submit a task; trying again");
                    if self.pause(AFTER_TROUBLE).await.is_none() {
                        return false;
                    }
                }
                Err(SubmitError::UserLimit { .. }) => break text::ONE_AT_A_TIME,
                Err(SubmitError::TooLarge { .. }) => break text::TOO_LONG,
                Err(error) => {
                    tracing::warn!(error = %error, "task refused");
                    break text::BUSY;
                }
            }
        };
        match pressed {
            Some(pressed) => {
                self.answer_button(pressed.query_id, Some(refusal.to_owned()));
                true
            }
            None => {
                let screen = Screen::plain(refusal);
                self.reply(move |performer| performer.say(who, screen)).await
            }
        }
    }

    /// Sends a placeholder behind the caller's back.
    fn place(
        self: &Arc<Self>,
        who: Who,
        id: TaskId,
        screen: Screen,
        on_its_way: crate::placeholder::OnItsWay,
    ) {
        let performer = Arc::clone(self);
        self.background.spawn(async move {
            let until = Instant::now() + PLACEHOLDER_AT_MOST;
            let sent = performer.insist(until, || performer.bot.send(who.chat_id, &screen)).await;
            if let Some(Ok(message_id)) = sent {
                performer.note_placeholder(who, &id, message_id).await;
            }
            drop(on_its_way);
        });
    }

    /// Tells the ledger where the answer goes; removes the placeholder when another one came first or the answer did.
    async fn note_placeholder(&self, who: Who, id: &TaskId, message_id: i64) {
        let until = Instant::now() + PLACEHOLDER_AT_MOST;
        let in_the_way = loop {
            match self.queue.note_placeholder(id, message_id).await {
                Ok(ledger) => break ledger.message_id != Some(message_id),
                // It may be noted all the same, and be the answer by now: better one message too many than none.
                Err(error) if until < Instant::now() => {
                    tracing::warn!(error = %error.source, "a placeholder could not be noted");
                    break false;
                }
                Err(_) => {
                    if self.pause(AFTER_TROUBLE).await.is_none() {
                        break false;
                    }
                }
            }
        };
        if in_the_way {
            self.remove_placeholder(who.chat_id, message_id).await;
        }
    }

    /// Removes a placeholder that another one or the answer has made needless. One that stays is no harm.
    pub(crate) async fn remove_placeholder(&self, chat_id: i64, message_id: i64) {
        if let Err(error) = self.bot.delete(chat_id, message_id).await {
            tracing::debug!(error = %error, "a placeholder could not be removed");
        }
    }

    /// Behind the caller's back: the mark on the button ends by itself after some seconds, the note is worth some more.
    fn answer_button(self: &Arc<Self>, query_id: String, note: Option<String>) {
        let performer = Arc::clone(self);
        self.background.spawn(async move {
            let until = Instant::now() + BUTTON_AT_MOST;
            let answer = || performer.bot.answer_button(&query_id, note.as_deref());
            if let Some(Err(error)) = performer.insist(until, answer).await {
                tracing::debug!(error = %error, "a button press was not answered");
            }
        });
    }

    /// Calls until it works, cannot work, or `until`. None when the process is shutting down.
    pub(crate) async fn insist<T, F>(
        &self,
        until: Instant,
        mut call: impl FnMut() -> F,
    ) -> Option<Result<T, BotError>>
    where
        F: Future<Output = Result<T, BotError>>,
    {
        loop {
            let error = match call().await {
                Ok(value) => return Some(Ok(value)),
                Err(error) => error,
            };
            let Some(wait) = error.try_again_after(CALL_AGAIN) else { return Some(Err(error)) };
            if until < Instant::now() + wait {
                return Some(Err(error));
            }
            tracing::debug!(error = %error, "the Bot API is called again");
            self.pause(wait).await?;
        }
    }

    /// None when the process is shutting down.
    pub(crate) async fn pause(&self, wait: Duration) -> Option<()> {
        self.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await
    }
}

fn new_task(
    lane: &Lane,
    who: Who,
    cause: &str,
    question: &Question,
    pressed: Option<&Pressed>,
    turn: u64,
) -> Task {
    let mut task = Task::in_lane(lane, who.user_id, question.params());
    task.task_id = TaskId::from_cause(lane, cause);
    let reply_to = ReplyTo {
        chat_id: who.chat_id,
        user_id: who.user_id,
        message_id: pressed.map(|pressed| pressed.message_id),
        turn,
        question: question.clone(),
    };
    task.reply_to = serde_json::to_value(reply_to).ok();
    task
}
