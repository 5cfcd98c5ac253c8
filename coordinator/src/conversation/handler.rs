//! Handles an update: asks the flow what to do about it, and does it.
//!
//! [`Handler::handle`] returns when the update may count as handled: its task is in Redis, or its reply is in the chat.
//! What only makes the wait nicer (the placeholder, the note on a button) continues in the background.

use std::sync::Arc;

use ops::shutdown::ShuttingDown;

use super::chat_role::press_for_chat;
use super::effects::EffectRunner;
use super::reactions::Reactions;
use super::replies::Replies;
use crate::chat::event::{Event, Incoming};
use crate::chat::screen::Screen;
use crate::telegram::bot_api::BotApi;

/// Handles updates.
#[derive(Debug)]
pub(crate) struct Handler {
    bot: BotApi,
    reactions: Reactions,
    effects: EffectRunner,
    replies: Arc<Replies>,
}

impl Handler {
    /// Handles updates of `bot`.
    pub(crate) fn new(
        bot: BotApi,
        reactions: Reactions,
        effects: EffectRunner,
        replies: Arc<Replies>,
    ) -> Self {
        Self { bot, reactions, effects, replies }
    }

    /// Reads what handling the update will need, while it is decided whether it is handled.
    pub(crate) async fn prepare(&self, incoming: &Incoming) {
        self.effects.sessions.prefetch(incoming.address.session_key()).await;
    }

    /// Handles one update. `before_replying` is done while the session is stored, and before anything is sent.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`]: the update has to be handled again. That does no harm: its tasks have the same ids, its replies say
    /// the same.
    pub(crate) async fn handle(
        &self,
        incoming: &Incoming,
        before_replying: impl Future<Output = ()>,
    ) -> Result<(), ShuttingDown> {
        let for_chat = press_for_chat(&self.bot, incoming).await;
        let incoming = for_chat.as_ref().unwrap_or(incoming);
        let (reaction, ()) = tokio::join!(self.reactions.react(incoming), before_replying);
        let reaction = reaction?;
        self.effects.perform(incoming, reaction).await
    }

    /// Ignores an update, with or without a sentence that says why.
    ///
    /// # Errors
    ///
    /// [`ShuttingDown`]: the sentence was not sent.
    pub(crate) async fn ignore(
        &self,
        incoming: &Incoming,
        sentence: Option<&str>,
    ) -> Result<(), ShuttingDown> {
        let said = sentence.map(|sentence| incoming.language.text(sentence));
        match (&incoming.event, said) {
            // A press has to be answered, or the button keeps waiting.
            (Event::Press { query_id, .. }, said) => {
                self.replies.answer_button(query_id.clone(), said);
                Ok(())
            }
            (_, Some(said)) => self.replies.tell(incoming.address, Screen::plain(said)).await,
            (_, None) => Ok(()),
        }
    }
}
