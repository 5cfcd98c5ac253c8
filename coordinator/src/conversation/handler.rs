//! Carries out what a flow asks for.
//!
//! [`Performer::handle`] returns when the update may count as handled: its task is in Redis, or its reply is in the
//! chat. What only makes the wait nicer (the placeholder, the note on a button) goes on behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use queue::{Lane, TaskId, TaskQueue};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::delay_notice::{self, AskedFor, Kept};
use super::slow_chats::Overdue;
use crate::access::admission;
use crate::access::lists::Access;
use crate::admin;
use crate::answers::placeholder::Placeholders;
use crate::answers::status;
use crate::chat::address::Place;
use crate::chat::command_menu::Menu;
use crate::chat::effect::{Effect, Pressed};
use crate::chat::event::Incoming;
use crate::chat::flow;
use crate::chat::flow::turn::Around;
use crate::chat::privacy::Privacy;
use crate::chat::question::{Question, ReplyTo};
use crate::chat::screen::Screen;
use crate::chat::session::{Pending, Session};
use crate::chat::text::Lang;
use crate::chat_order::Turns;
use crate::session_store::SessionStore;
use crate::telegram::bot_api::BotError;
use crate::telegram::send::Sender;
use crate::wait_estimator::Tempo;

/// Pause after trouble with Redis.
pub(crate) const AFTER_TROUBLE: Duration = Duration::from_millis(300);
/// The same album is not sent again within this time.
const ALBUM_AGAIN: Duration = Duration::from_secs(10);
/// Pause before a failed call to the Bot API is tried again.
pub(crate) const CALL_AGAIN: Duration = Duration::from_millis(500);

/// Does what flows ask for.
#[derive(Debug)]
pub(crate) struct Performer {
    /// The way into chats.
    pub(crate) sender: Sender,
    /// Where tasks go.
    pub(crate) queue: TaskQueue,
    /// What is remembered about people.
    pub(crate) sessions: SessionStore,
    /// What is sent to a chat keeps its order.
    pub(crate) turns: Turns,
    /// Replies that hold up nothing any more.
    pub(crate) overdue: Overdue,
    /// Placeholders on their way.
    pub(crate) placeholders: Placeholders,
    /// How quickly tasks are answered.
    pub(crate) tempo: Arc<Tempo>,
    /// The commands that plugins bring along.
    pub(crate) menu: watch::Receiver<Arc<Menu>>,
    /// What `/privacy` says.
    pub(crate) privacy: Privacy,
    /// Who may do what.
    pub(crate) access: Access,
    /// Counts what people send.
    pub(crate) counter: queue::Script,
    pub(crate) background: TaskTracker,
    pub(crate) told: delay_notice::Told,
    pub(crate) shutdown: CancellationToken,
}

impl Performer {
    /// A performer that stops trying at `shutdown`.
    pub(crate) fn new(
        sender: Sender,
        queue: TaskQueue,
        sessions: SessionStore,
        access: Access,
        menu: watch::Receiver<Arc<Menu>>,
        tempo: Arc<Tempo>,
        shutdown: CancellationToken,
    ) -> Self {
        let (placeholders, background) = (Placeholders::default(), TaskTracker::new());
        let counter = admission::counter();
        Self {
            sender,
            queue,
            sessions,
            turns: Turns::default(),
            overdue: Overdue::default(),
            placeholders,
            tempo,
            menu,
            privacy: Privacy::of_the_bot(),
            access,
            counter,
            background,
            told: delay_notice::Told::default(),
            shutdown,
        }
    }

    /// Lets `/privacy` say what the operator wants.
    #[must_use]
    pub(crate) fn with_privacy(self, privacy: Privacy) -> Self {
        Self { privacy, ..self }
    }

    /// Handles one update. False when it has to be handled again: the process is shutting down.
    ///
    /// Handling the same update again does no harm: its tasks have the same ids, its replies say the same.
    pub(crate) async fn handle(self: &Arc<Self>, incoming: &Incoming) -> bool {
        let in_role = self.in_role(incoming).await;
        let incoming = in_role.as_ref().unwrap_or(incoming);
        let Some((lang, effects)) = self.react(incoming).await else { return false };
        for (ordinal, effect) in effects.into_iter().enumerate() {
            if !self.perform(incoming, lang, ordinal, effect).await {
                return false;
            }
        }
        true
    }

    /// Waits for what goes on in the background.
    pub(crate) async fn settle(&self) {
        self.background.close();
        self.background.wait().await;
    }

    /// The session's change, and what is to be done; with the language to do it in.
    async fn react(self: &Arc<Self>, incoming: &Incoming) -> Option<(Lang, Vec<Effect>)> {
        let menu = Arc::clone(&self.menu.borrow());
        let around = Around {
            place: incoming.place,
            language: incoming.language,
            admin: self.access.is_admin(incoming.place.owner),
            bot: self.sender.bot().username(),
            menu: &menu,
            privacy: &self.privacy,
        };
        let asked = Mutex::new(None);
        let change = |session: &mut Session| {
            let effects = flow::react(session, around, incoming.update_id, &incoming.event);
            let lang = session.lang();
            for (ordinal, effect) in effects.iter().enumerate() {
                if let Effect::Ask { question, pressed, .. } = effect
                    && let Some((_, id)) = self.task_of(incoming, ordinal, question)
                {
                    session.keep_pending(Pending { id: id.clone(), called: question.called(lang) });
                    let (place, pressed) = (incoming.place, pressed.clone());
                    *asked.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(AskedFor { id, place, lang, pressed });
                }
            }
            (lang, effects)
        };
        let mut kept = Kept::new();
        loop {
            let error = match self.sessions.update(incoming.place.who(), &change).await {
                Ok(reaction) => return Some(reaction),
                Err(error) => error,
            };
            self.queue.note_trouble(None, "keep a session", &error);
            // What it comes to all the same; for somebody new when the session cannot even be read.
            let session = self.sessions.load(incoming.place.who()).await;
            let known = session.is_ok();
            let reaction = change(&mut session.unwrap_or_default());
            let question = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let only_said = |effect: &Effect| matches!(effect, Effect::Say(_));
            match question {
                Some(question) => kept.refused(self, &error, &question).await,
                // An answer that needs no memory does not wait for it.
                None if known && kept.lasts(&error) && reaction.1.iter().all(only_said) => {
                    return Some(reaction);
                }
                None => {}
            }
            self.pause(AFTER_TROUBLE).await?;
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
                let screen = status::screen(self, lang, &pending).await;
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
                // Before their answers come: one that came first would be remembered, and offer to try again.
                let who = place.who();
                if self.insist_on_redis(|| self.sessions.forget(who)).await.is_none() {
                    return false;
                }
                for id in tasks {
                    if self.stop(&id).await.is_none() {
                        return false;
                    }
                }
                true
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
                    self.queue.note_trouble(None, "do what somebody asked for", &error);
                    self.pause(AFTER_TROUBLE).await?;
                }
            }
        }
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
