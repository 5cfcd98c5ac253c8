//! Carries out what a flow asks for.
//!
//! [`Performer::handle`] returns when the update may count as handled: its task is in Redis, or its reply is in the
//! chat. What only makes the wait nicer (the placeholder, the note on a button) goes on behind it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use queue::error::SubmitError;
use queue::{Lane, SubmitOptions, Submitted, Task, TaskId, TaskQueue};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::bot_api::BotError;
use crate::commands::Menu;
use crate::event::{Effect, Incoming, Place, Pressed};
use crate::flow::{self, Around};
use crate::overdue::Overdue;
use crate::placeholder::Placeholders;
use crate::question::{Question, ReplyTo};
use crate::render::{Media, Screen, link};
use crate::send::{Sender, Urgency};
use crate::session::Pending;
use crate::session::store::SessionStore;
use crate::tempo::Tempo;
use crate::text::Lang;
use crate::turns::{Turn, Turns};
use crate::{admin, gate, under_way, waiting};

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
/// How often it is said that a placeholder waits for room, and looked whether it still has to: the first time before another
/// coordinator that has the answer loses its patience.
const PLACING_SAID_AGAIN: Duration = Duration::from_millis(700);
/// The same button pressed again within this time is the same press.
const DOUBLE_PRESS: Duration = Duration::from_secs(2);
/// The same album is not sent again within this time.
const ALBUM_AGAIN: Duration = Duration::from_secs(10);
/// Pause before a failed call to the Bot API is tried again.
const CALL_AGAIN: Duration = Duration::from_millis(500);

/// Does what flows ask for.
#[derive(Debug)]
pub struct Performer {
    /// The way into chats.
    pub sender: Sender,
    /// Where tasks go.
    pub queue: TaskQueue,
    /// What is remembered about people.
    pub sessions: SessionStore,
    /// What is sent to a chat keeps its order.
    turns: Turns,
    /// Replies that hold up nothing any more.
    overdue: Overdue,
    /// Placeholders on their way.
    pub placeholders: Placeholders,
    /// How quickly tasks are answered.
    pub tempo: Arc<Tempo>,
    /// The commands that plugins bring along.
    menu: watch::Receiver<Arc<Menu>>,
    /// Who may do what.
    pub(crate) access: Access,
    /// Counts what people send.
    pub(crate) counter: queue::Script,
    background: TaskTracker,
    shutdown: CancellationToken,
}

impl Performer {
    /// A performer that stops trying at `shutdown`.
    pub fn new(
        sender: Sender,
        queue: TaskQueue,
        sessions: SessionStore,
        access: Access,
        menu: watch::Receiver<Arc<Menu>>,
        tempo: Arc<Tempo>,
        shutdown: CancellationToken,
    ) -> Self {
        let (placeholders, background) = (Placeholders::default(), TaskTracker::new());
        let counter = gate::counter();
        Self {
            sender,
            queue,
            sessions,
            turns: Turns::default(),
            overdue: Overdue::default(),
            placeholders,
            tempo,
            menu,
            access,
            counter,
            background,
            shutdown,
        }
    }

    /// Handles one update. False when it has to be handled again: the process is shutting down.
    ///
    /// Handling the same update again does no harm: its tasks have the same ids, its replies say the same.
    pub async fn handle(self: &Arc<Self>, incoming: &Incoming) -> bool {
        let Some((lang, effects)) = self.react(incoming).await else { return false };
        for (ordinal, effect) in effects.into_iter().enumerate() {
            if !self.perform(incoming, lang, ordinal, effect).await {
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

    /// The session's change, and what is to be done; with the language to do it in.
    async fn react(&self, incoming: &Incoming) -> Option<(Lang, Vec<Effect>)> {
        let menu = Arc::clone(&self.menu.borrow());
        let around = Around {
            place: incoming.place,
            language: incoming.language,
            admin: self.access.is_admin(incoming.place.owner),
            bot: self.sender.bot().username(),
            menu: &menu,
        };
        loop {
            let change = self.sessions.update(incoming.place.who(), |session| {
                let effects = flow::react(session, around, incoming.update_id, &incoming.event);
                let lang = session.lang();
                for (ordinal, effect) in effects.iter().enumerate() {
                    if let Effect::Ask { question, .. } = effect
                        && let Some((_, id)) = self.task_of(incoming, ordinal, question)
                    {
                        session.keep_pending(Pending { id, called: question.called(lang) });
                    }
                }
                (lang, effects)
            });
            match change.await {
                Ok(changed) => return Some(changed),
                Err(error) => {
                    tracing::warn!(error = %error, "cannot read a session; trying again");
                    self.pause(AFTER_TROUBLE).await?;
                }
            }
        }
    }

    /// The lane and id of the task that an effect of an update asks for: always the same.
    fn task_of(
        &self,
        incoming: &Incoming,
        ordinal: usize,
        question: &Question,
    ) -> Option<(Lane, TaskId)> {
        let lane = self.queue.lane_of(&question.task_type()?, incoming.place.owner);
        // An update's number comes again when the server counts anew, the message behind it does not.
        let (number, origin) = (incoming.update_id, &incoming.origin);
        let cause = format!("{}:{number}:{origin}:{ordinal}", self.sender.bot().id());
        let id = TaskId::from_cause(&lane, &cause);
        Some((lane, id))
    }

    async fn perform(
        self: &Arc<Self>,
        incoming: &Incoming,
        lang: Lang,
        ordinal: usize,
        effect: Effect,
    ) -> bool {
        let place = incoming.place;
        match effect {
            Effect::Say(screen) => self.tell(place, screen).await,
            Effect::Show { message_id, screen, turn } => {
                let show =
                    move |performer: Arc<Self>| performer.show(place, message_id, screen, turn);
                self.reply(place.chat_id, show).await
            }
            Effect::AnswerButton { query_id, note } => {
                self.answer_button(query_id, note);
                true
            }
            Effect::Ask { question, pressed, turn } => {
                let task = self.task_of(incoming, ordinal, &question);
                let Some((lane, id)) = task else { return true };
                let reply_to = ReplyTo {
                    place,
                    message_id: pressed.as_ref().map(|pressed| pressed.message_id),
                    turn,
                    lang,
                    question,
                };
                self.ask(&lane, id, reply_to, pressed).await
            }
            Effect::Cancel { tasks, pressed } => self.cancel(place, lang, tasks, pressed).await,
            Effect::Status(pending) => {
                let screen = under_way::screen(self, lang, &pending).await;
                self.tell(place, screen).await
            }
            Effect::Album { media, message_id, page } => {
                // Pressed twice in a row is once.
                let button = format!("album:{}:{message_id}:{page}", place.chat_id);
                if !self.first(&button, &incoming.origin, ALBUM_AGAIN).await {
                    return true;
                }
                let turn = self.turns.join(place.chat_id);
                let send = move |performer: Arc<Self>| async move {
                    turn.come().await;
                    performer.album(place, lang, media).await
                };
                self.reply(place.chat_id, send).await
            }
            Effect::Choose(chosen) => {
                let (who, sessions) = (place.who(), &self.sessions);
                self.insist_on_redis(|| sessions.choose(who, chosen)).await.is_some()
            }
            Effect::Forget { tasks } => {
                for id in tasks {
                    if self.stop(&id).await.is_none() {
                        return false;
                    }
                }
                let (who, sessions) = (place.who(), &self.sessions);
                self.insist_on_redis(|| sessions.forget(who)).await.is_some()
            }
            Effect::Stats => {
                let screen = admin::stats(&self.queue).await;
                self.tell(place, screen).await
            }
            Effect::Plugins => {
                let screen = admin::plugins(&self.queue).await;
                self.tell(place, screen).await
            }
        }
    }

    /// Stops tasks and says how many were still under way.
    async fn cancel(
        self: &Arc<Self>,
        place: Place,
        lang: Lang,
        tasks: Vec<TaskId>,
        pressed: Option<Pressed>,
    ) -> bool {
        let mut stopped = 0;
        for id in &tasks {
            match self.stop(id).await {
                Some(was_there) => stopped += u64::from(was_there),
                None => return false,
            }
        }
        let said = match stopped {
            0 => lang.text("cancelled-none"),
            stopped => lang.counted("cancelled-some", stopped),
        };
        match pressed {
            Some(pressed) => {
                self.answer_button(pressed.query_id, Some(said));
                true
            }
            None => self.tell(place, Screen::plain(said)).await,
        }
    }

    /// Stops a task; its answer says so where it would have been. None when the process is shutting down.
    async fn stop(&self, id: &TaskId) -> Option<bool> {
        let cancel = || async { self.queue.cancel(id).await.map_err(|error| error.source) };
        self.insist_on_redis(cancel).await
    }

    /// Asks Redis until it answers. None when the process is shutting down.
    async fn insist_on_redis<T, F>(&self, ask: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, redis::RedisError>>,
    {
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    tracing::warn!(error = %error, "waiting for Redis");
                    self.pause(AFTER_TROUBLE).await?;
                }
            }
        }
    }

    /// Sends a message, after what was to be sent to this chat before it.
    pub(crate) async fn tell(self: &Arc<Self>, place: Place, screen: Screen) -> bool {
        let turn = self.turns.join(place.chat_id);
        let send = move |performer: Arc<Self>| async move {
            turn.come().await;
            performer.say(place, screen).await
        };
        self.reply(place.chat_id, send).await
    }

    /// Makes a reply that is no answer to a task. One that takes long goes on beside the updates that follow: a chat
    /// that Telegram slows down must not hold up the others.
    async fn reply<F>(self: &Arc<Self>, chat_id: i64, make: impl FnOnce(Arc<Self>) -> F) -> bool
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let mut making = self.background.spawn(make(Arc::clone(self)));
        // One that is overdue has held its chat up already; another does not do so again.
        let holds_up = if self.overdue.has(chat_id) { Duration::ZERO } else { REPLY_HOLDS_UP };
        match tokio::time::timeout(holds_up, &mut making).await {
            Ok(joined) => joined.unwrap_or(true),
            Err(_) => {
                let overdue = self.overdue.note(chat_id);
                self.background.spawn(async move {
                    let _ = making.await; // It has said what there was to say.
                    drop(overdue);
                });
                true
            }
        }
    }

    /// Replaces a message, unless it shows what was asked later.
    async fn show(
        self: Arc<Self>,
        place: Place,
        message_id: i64,
        screen: Screen,
        turn: u64,
    ) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        let edit = || async {
            let may =
                self.sessions.update(place.who(), |session| session.may_show(message_id, turn));
            match may.await {
                Ok(true) => self.sender.edit(&place, message_id, &screen, Urgency::Reply).await,
                Ok(false) => Ok(()),
                Err(error) => Err(BotError::Transient(error.to_string())),
            }
        };
        match self.insist(until, edit).await {
            // Its message was deleted: the person pressed a button on it a moment ago, so they want to see it.
            Some(Err(BotError::MessageGone)) => Arc::clone(&self).say(place, screen).await,
            Some(Err(BotError::Refused(reason))) => {
                tracing::error!(reason, "Telegram does not take a page");
                let lang = self.sessions.load(place.who()).await.map_or(Lang::En, |of| of.lang());
                self.say(place, Screen::plain(lang.text("cannot-show"))).await
            }
            Some(_) => true,
            None => false,
        }
    }

    async fn say(self: Arc<Self>, place: Place, screen: Screen) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        match self.insist(until, || self.sender.send(&place, &screen, Urgency::Reply)).await {
            Some(Err(error)) => {
                tracing::warn!(error = %error, "a reply could not be sent");
                true
            }
            Some(Ok(_)) => true,
            None => false,
        }
    }

    /// Sends pictures and videos; their addresses when Telegram cannot load one of them.
    async fn album(self: Arc<Self>, place: Place, lang: Lang, media: Vec<Media>) -> bool {
        let until = Instant::now() + REPLY_AT_MOST;
        let send = || async {
            match self.sender.album(&place, &media).await {
                // Telegram may be at it still; once more would be once too often.
                Err(BotError::Transient(reason)) => Err(BotError::Refused(reason)),
                sent => sent,
            }
        };
        match self.insist(until, send).await {
            Some(Err(BotError::Refused(reason))) => {
                tracing::info!(reason, "an album could not be sent; its addresses are");
                let lines: Vec<String> =
                    media.iter().map(|media| link(title(media), &media.url, 70)).collect();
                let html = format!("{}\n\n{}", lang.text("album-failed"), lines.join("\n"));
                self.say(place, Screen::plain(html)).await
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Submits a question's task; the update is safe once Redis has it.
    async fn ask(
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
                    tracing::warn!(error = %error, "cannot submit a task; trying again");
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
    fn accompany(
        self: &Arc<Self>,
        task: Task,
        reply_to: ReplyTo,
        on_its_way: Option<crate::placeholder::OnItsWay>,
    ) {
        let performer = Arc::clone(self);
        let turn = on_its_way.is_some().then(|| self.turns.join(reply_to.place.chat_id));
        self.background.spawn(async move {
            let id = &task.task_id;
            let mut message_id = reply_to.message_id;
            if let Some(turn) = &turn {
                let screen = reply_to.question.placeholder(reply_to.lang, &flow::view_name(id));
                let placed = performer.place(id, turn, &reply_to.place, &screen).await;
                if let Some(Ok(placeholder)) = placed {
                    let counts = performer.note_placeholder(&reply_to.place, id, placeholder).await;
                    message_id = counts.then_some(placeholder);
                }
            }
            drop((turn, on_its_way));
            waiting::accompany(&performer, &task, &reply_to, message_id).await;
        });
    }

    /// Sends a placeholder in its turn, unless there is another by the time that there is room for it. Until then the
    /// ledger knows that it comes: whoever has the answer would send one before its turn.
    async fn place(
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
    async fn note_placeholder(&self, place: &Place, id: &TaskId, message_id: i64) -> bool {
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

    /// Behind the caller's back: the mark on the button ends by itself after some seconds, the note is worth some more.
    pub(crate) fn answer_button(self: &Arc<Self>, query_id: String, note: Option<String>) {
        let performer = Arc::clone(self);
        self.background.spawn(async move {
            let until = Instant::now() + BUTTON_AT_MOST;
            let answer = || performer.sender.answer_button(&query_id, note.as_deref());
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

/// What a picture is called: its title, or else its address.
fn title(media: &Media) -> &str {
    if media.caption.is_empty() { &media.url } else { &media.caption }
}
