//! What is to be done about an event.

use queue::TaskId;

use super::question::Question;
use super::screen::{Media, Screen};
use super::session::Pending;
use super::text::Lang;

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a new message.
    Say(Screen),
    /// Replace a message's text and buttons.
    Show {
        /// Which message.
        message_id: i64,
        /// With what.
        screen: Screen,
        /// When in the conversation; what was asked later is not covered by it.
        turn: u64,
    },
    /// End the waiting mark of a pressed button.
    AnswerButton {
        /// Which press.
        query_id: String,
        /// A short note to show.
        note: Option<String>,
    },
    /// Submit a task; its answer comes later.
    Submit {
        /// What is asked.
        question: Question,
        /// The press that asked it; a new message gets a placeholder instead.
        pressed: Option<Pressed>,
        /// When in the conversation.
        turn: u64,
    },
    /// Stop tasks and say how many were stopped.
    Cancel {
        /// Which.
        tasks: Vec<TaskId>,
        /// The press that asked for it.
        pressed: Option<Pressed>,
    },
    /// Say how far tasks have come.
    Status(Vec<Pending>),
    /// Send pictures and videos themselves, or their addresses when Telegram cannot load them.
    Album {
        /// Which.
        media: Vec<Media>,
        /// The message whose button was pressed.
        message_id: i64,
        /// The page that it showed.
        page: usize,
    },
    /// Remember a choice for longer than a session lives; none forgets it.
    Choose(Option<Lang>),
    /// Stop what is under way and forget the session.
    Forget {
        /// What is under way.
        tasks: Vec<TaskId>,
    },
    /// Tell an administrator how the queue is.
    Stats,
    /// Tell an administrator which workers and plugins there are.
    Plugins,
}

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// What the answer to the press has to name.
    pub query_id: String,
    /// The message that it sits on, which becomes the answer.
    pub message_id: i64,
}
