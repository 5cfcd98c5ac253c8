//! One turn of the conversation: its context, and the effects that most turns make.

use queue::TaskId;

use crate::chat::address::ChatAddress;
use crate::chat::command_menu::CommandMenu;
use crate::chat::effect::{Effect, Pressed};
use crate::chat::privacy::PrivacyNotice;
use crate::chat::question::Question;
use crate::chat::screen::Screen;
use crate::chat::session::Session;
use crate::chat::text::Lang;

/// The inputs of one turn of the conversation, besides the session.
#[derive(Debug, Clone, Copy)]
pub struct TurnContext<'a> {
    /// The chat, and who speaks.
    pub address: ChatAddress,
    /// The language of the person's Telegram.
    pub language: Lang,
    /// Whether the person is an administrator.
    pub admin: bool,
    /// The bot's name, without `@`.
    pub bot: &'a str,
    /// The plugins' commands.
    pub menu: &'a CommandMenu,
    /// The operator's privacy notice.
    pub privacy: &'a PrivacyNotice,
}

/// One turn of the conversation.
pub(super) struct Turn<'a> {
    pub(super) session: &'a mut Session,
    pub(super) context: TurnContext<'a>,
    pub(super) lang: Lang,
    /// The turn number.
    pub(super) number: u64,
}

impl Turn<'_> {
    pub(super) fn say(&self, id: &str) -> Effect {
        Effect::Say(Screen::plain(self.lang.text(id)))
    }

    pub(super) fn under_way(&self) -> Vec<TaskId> {
        self.session.pending.iter().map(|pending| pending.id.clone()).collect()
    }

    pub(super) fn ask(&self, question: Question, pressed: Option<Pressed>) -> Effect {
        Effect::Submit { question, pressed, turn: self.number }
    }

    pub(super) fn show(&self, pressed: &Pressed, screen: Screen) -> Vec<Effect> {
        let message_id = pressed.message_id;
        let turn = self.number;
        vec![done(pressed), Effect::Show { message_id, screen, turn }]
    }
}

pub(super) fn done(pressed: &Pressed) -> Effect {
    Effect::AnswerButton { query_id: pressed.query_id.clone(), note: None }
}

pub(super) fn note_on(pressed: Pressed, note: String) -> Effect {
    Effect::AnswerButton { query_id: pressed.query_id, note: Some(note) }
}
