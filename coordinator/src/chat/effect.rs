//! What is to be done about an event.

use chat_commands::media::Media;
use queue::{TaskId, TaskType};

use super::question::Question;
use super::screen::Screen;
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
        /// The new text and buttons.
        screen: Screen,
        /// The turn; later turns are not replaced by it.
        turn: u64,
    },
    /// Answer a press, so that the button stops waiting.
    AnswerButton {
        /// The callback query's id.
        query_id: String,
        /// A short note to show.
        note: Option<String>,
    },
    /// Submit a task; its answer comes later.
    Submit {
        /// The question.
        question: Question,
        /// The press that asked it; a question in a message gets a placeholder instead.
        pressed: Option<Pressed>,
        /// The turn.
        turn: u64,
    },
    /// Cancel tasks and say how many were cancelled.
    Cancel {
        /// Which.
        tasks: Vec<TaskId>,
        /// The press that asked for it.
        pressed: Option<Pressed>,
    },
    /// Say how far tasks have come.
    Status(Vec<Pending>),
    /// Send pictures and videos, or links to them when Telegram cannot load them.
    Album {
        /// Which.
        media: Vec<Media>,
        /// The message whose button was pressed.
        message_id: i64,
        /// The page that it showed.
        page: usize,
    },
    /// Store the chosen language for longer than a session lives; none deletes the choice.
    SetLanguage(Option<Lang>),
    /// Delete the session, then cancel all tasks.
    DeleteData {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Show an administrator the queue's figures.
    Stats,
    /// Show an administrator the workers and plugins.
    Plugins,
    /// Submit the dead letters of a type again, and say in a note how many.
    ReplayDead {
        /// The type.
        task_type: TaskType,
        /// The press that asked for it.
        query_id: String,
    },
    /// Hand out a type's tasks again, and say so in a note.
    Resume {
        /// The type.
        task_type: TaskType,
        /// The press that asked for it.
        query_id: String,
    },
}

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// The callback query's id.
    pub query_id: String,
    /// The message with the button, which becomes the answer.
    pub message_id: i64,
}
