//! Asks the flow what to do about an update, and stores the session.

use std::sync::{Arc, Mutex, PoisonError};

use ops::retry;
use ops::shutdown::{Shutdown, ShuttingDown};
use queue::TaskQueue;
use tokio::sync::watch;

use super::delay_notice::{Attempts, DelayNotices, WaitingQuestion};
use super::task_ids::TaskIds;
use crate::access::lists::AccessLists;
use crate::chat::command_menu::CommandMenu;
use crate::chat::effect::Effect;
use crate::chat::event::Incoming;
use crate::chat::flow;
use crate::chat::flow::turn::TurnContext;
use crate::chat::privacy::PrivacyNotice;
use crate::chat::session::{Pending, Session};
use crate::chat::text::Lang;
use crate::redis_retry;
use crate::session_store::SessionStore;

/// What the flow knows besides the session.
#[derive(Debug)]
pub(crate) struct FlowInputs {
    /// The bot's name, without `@`.
    pub(crate) bot: String,
    /// Who is an administrator.
    pub(crate) lists: Arc<AccessLists>,
    /// The plugins' commands.
    pub(crate) menu: watch::Receiver<Arc<CommandMenu>>,
    /// What `/privacy` says.
    pub(crate) privacy: PrivacyNotice,
}

/// Asks the flow what to do about updates.
#[derive(Debug)]
pub(crate) struct Reactions {
    inputs: FlowInputs,
    queue: TaskQueue,
    task_ids: TaskIds,
    sessions: SessionStore,
    notices: Arc<DelayNotices>,
    shutdown: Shutdown,
}

/// What to do about an update.
#[derive(Debug)]
pub(crate) struct Reaction {
    /// The language to answer in.
    pub(crate) lang: Lang,
    /// What to do, in order.
    pub(crate) effects: Vec<Effect>,
}

impl Reactions {
    /// Keeps `sessions`; trouble with them is noted in `queue`.
    pub(crate) fn new(
        inputs: FlowInputs,
        queue: TaskQueue,
        task_ids: TaskIds,
        sessions: SessionStore,
        notices: Arc<DelayNotices>,
        shutdown: Shutdown,
    ) -> Self {
        Self { inputs, queue, task_ids, sessions, notices, shutdown }
    }

    /// Changes the session, and returns what to do.
    pub(crate) async fn react(&self, incoming: &Incoming) -> Result<Reaction, ShuttingDown> {
        let menu = Arc::clone(&self.inputs.menu.borrow());
        let context = TurnContext {
            address: incoming.address,
            language: incoming.language,
            admin: self.inputs.lists.is_admin(incoming.address.owner),
            bot: &self.inputs.bot,
            menu: &menu,
            privacy: &self.inputs.privacy,
        };
        let asked = Mutex::new(None);
        let change = |session: &mut Session| {
            let effects = flow::react(session, context, incoming.update_id, &incoming.event);
            let lang = session.lang();
            let question = self.note_pending(incoming, session, &effects);
            *asked.lock().unwrap_or_else(PoisonError::into_inner) = question;
            Reaction { lang, effects }
        };
        let attempts = Attempts::begin();
        let attempt = || async {
            let error = match self.sessions.update(incoming.address.session_key(), &change).await {
                Ok(reaction) => return Ok(reaction),
                Err(error) => error,
            };
            self.queue.note_trouble(None, "store a session", &error);
            // Computed without storing, so that the person can be told; with a new session if it cannot be read.
            let session = self.sessions.load(incoming.address.session_key()).await;
            let known = session.is_ok();
            let reaction = change(&mut session.unwrap_or_default());
            let question = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let only_said = |effect: &Effect| matches!(effect, Effect::Say(_));
            match question {
                Some(question) => attempts.failed(&self.notices, &error, &question).await,
                // An answer that needs no memory does not wait for it.
                None if known
                    && attempts.refusal_lasts(&error)
                    && reaction.effects.iter().all(only_said) =>
                {
                    return Ok(reaction);
                }
                None => {}
            }
            Err(error)
        };
        retry::until_ok(redis_retry::POLICY, &self.shutdown, attempt).await
    }

    /// Adds the tasks that will be submitted to the session. Returns the last of their questions.
    fn note_pending(
        &self,
        incoming: &Incoming,
        session: &mut Session,
        effects: &[Effect],
    ) -> Option<WaitingQuestion> {
        let lang = session.lang();
        let mut last = None;
        for (ordinal, effect) in effects.iter().enumerate() {
            if let Effect::Submit { question, pressed, .. } = effect
                && let Some((_, id)) = self.task_ids.of(incoming, ordinal, question)
            {
                session.keep_pending(Pending { id: id.clone(), called: question.called(lang) });
                let pressed = pressed.clone();
                last = Some(WaitingQuestion { id, address: incoming.address, lang, pressed });
            }
        }
        last
    }
}
