//! Carries out the flow's effects.

use std::sync::Arc;
use std::time::Duration;

use chat_commands::media::Media;
use ops::shutdown::{Shutdown, ShuttingDown};
use queue::{TaskId, TaskQueue};

use super::reactions::Reaction;
use super::replies::Replies;
use super::submit::Submitter;
use super::task_ids::TaskIds;
use crate::access::dedup::Dedup;
use crate::admin;
use crate::answers::status::TaskStatusReader;
use crate::chat::address::ChatAddress;
use crate::chat::effect::{Effect, Pressed};
use crate::chat::event::Incoming;
use crate::chat::question::{Question, ReplyTo};
use crate::chat::screen::Screen;
use crate::chat::text::Lang;
use crate::redis_retry;
use crate::session_store::SessionStore;

/// The same album is not sent again within this time.
const ALBUM_AGAIN: Duration = Duration::from_secs(10);

/// Carries out effects.
#[derive(Debug)]
pub(crate) struct EffectRunner {
    /// Where tasks are cancelled, and what administrators ask about.
    pub(crate) queue: TaskQueue,
    /// Names the tasks.
    pub(crate) task_ids: TaskIds,
    /// Stores people's choices, and deletes their data.
    pub(crate) sessions: SessionStore,
    /// Answers `/status`.
    pub(crate) status: TaskStatusReader,
    /// Sends replies without a task.
    pub(crate) replies: Arc<Replies>,
    /// Submits tasks.
    pub(crate) submitter: Submitter,
    /// Keeps the same album from being sent twice in a row.
    pub(crate) dedup: Dedup,
    /// Ends the pauses.
    pub(crate) shutdown: Shutdown,
}

impl EffectRunner {
    /// Carries out a reaction, effect by effect.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`]: the update has to be handled again. That does no harm: its tasks have the same ids, its replies say
    /// the same.
    pub(crate) async fn perform(
        &self,
        incoming: &Incoming,
        reaction: Reaction,
    ) -> Result<(), ShuttingDown> {
        for (ordinal, effect) in reaction.effects.into_iter().enumerate() {
            self.perform_one(incoming, reaction.lang, ordinal, effect).await?;
        }
        Ok(())
    }

    async fn perform_one(
        &self,
        incoming: &Incoming,
        lang: Lang,
        ordinal: usize,
        effect: Effect,
    ) -> Result<(), ShuttingDown> {
        let address = incoming.address;
        match effect {
            Effect::Say(screen) => self.replies.tell(address, screen).await,
            Effect::Show { message_id, screen, turn } => {
                self.replies.show(address, message_id, screen, turn).await
            }
            Effect::AnswerButton { query_id, note } => {
                self.replies.answer_button(query_id, note);
                Ok(())
            }
            Effect::Submit { question, pressed, turn } => {
                self.ask(incoming, lang, ordinal, question, pressed, turn).await
            }
            Effect::Cancel { tasks, pressed } => self.cancel(address, lang, tasks, pressed).await,
            Effect::Status(pending) => {
                let screen = self.status.screen(lang, &pending).await;
                self.replies.tell(address, screen).await
            }
            Effect::Album { media, message_id, page } => {
                self.album(incoming, lang, media, message_id, page).await
            }
            Effect::SetLanguage(chosen) => {
                let choose = || self.sessions.choose(address.session_key(), chosen);
                self.redis(choose).await
            }
            Effect::DeleteData { tasks } => {
                // Before their answers come: one that came first would be remembered, and offer to try again.
                self.redis(|| self.sessions.forget(address.session_key())).await?;
                for id in tasks {
                    self.stop(&id).await?;
                }
                let history = self.queue.history();
                let forget = || async {
                    let forgotten = history.forget_person(address.owner).await;
                    forgotten.map(drop).map_err(|error| error.source)
                };
                self.redis(forget).await
            }
            Effect::Stats => {
                let screen = admin::stats(&self.queue).await;
                self.replies.tell(address, screen).await
            }
            Effect::Plugins => {
                let screen = admin::plugins(&self.queue).await;
                self.replies.tell(address, screen).await
            }
            Effect::ReplayDead { task_type, query_id } => {
                let note = admin::replay_dead(&self.queue, &task_type, address.owner).await;
                self.replies.answer_button(query_id, Some(note));
                Ok(())
            }
            Effect::Resume { task_type, query_id } => {
                let note = admin::resume(&self.queue, &task_type, address.owner).await;
                self.replies.answer_button(query_id, Some(note));
                Ok(())
            }
        }
    }

    async fn ask(
        &self,
        incoming: &Incoming,
        lang: Lang,
        ordinal: usize,
        question: Question,
        pressed: Option<Pressed>,
        turn: u64,
    ) -> Result<(), ShuttingDown> {
        let task = self.task_ids.of(incoming, ordinal, &question);
        let Some((lane, id)) = task else { return Ok(()) };
        let message_id = pressed.as_ref().map(|pressed| pressed.message_id);
        let reply_to = ReplyTo { address: incoming.address, message_id, turn, lang, question };
        self.submitter.submit(&lane, id, reply_to, pressed).await
    }

    async fn album(
        &self,
        incoming: &Incoming,
        lang: Lang,
        media: Vec<Media>,
        message_id: i64,
        page: usize,
    ) -> Result<(), ShuttingDown> {
        // Two presses in a row count as one.
        let button = format!("album:{}:{message_id}:{page}", incoming.address.chat_id);
        if !self.dedup.is_first(&button, &incoming.origin, ALBUM_AGAIN).await {
            return Ok(());
        }
        self.replies.album(incoming.address, lang, media).await
    }

    /// Cancels tasks and says how many were pending.
    async fn cancel(
        &self,
        address: ChatAddress,
        lang: Lang,
        tasks: Vec<TaskId>,
        pressed: Option<Pressed>,
    ) -> Result<(), ShuttingDown> {
        let mut stopped = 0;
        for id in &tasks {
            stopped += u64::from(self.stop(id).await?);
        }
        let said = match stopped {
            0 => lang.text("cancelled-none"),
            stopped => lang.counted("cancelled-some", stopped),
        };
        match pressed {
            Some(pressed) => {
                self.replies.answer_button(pressed.query_id, Some(said));
                Ok(())
            }
            None => self.replies.tell(address, Screen::plain(said)).await,
        }
    }

    /// Cancels a task; its answer will say so. Whether it was pending.
    async fn stop(&self, id: &TaskId) -> Result<bool, ShuttingDown> {
        let cancel = || async { self.queue.cancel(id).await.map_err(|error| error.source) };
        self.redis(cancel).await
    }

    /// Repeats a request until Redis answers it.
    async fn redis<T, F>(&self, request: impl Fn() -> F) -> Result<T, ShuttingDown>
    where
        F: Future<Output = Result<T, redis::RedisError>>,
    {
        let doing = "carry out a command";
        redis_retry::until_answered(&self.queue, &self.shutdown, doing, request).await
    }
}
