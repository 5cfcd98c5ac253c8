//! The generic view: an answer that describes its own layout, so that a new plugin needs no change in the coordinator.
//!
//! The coordinator reads and shows it. `worker plugins run` reads it the same way, to say what would not be shown.

mod read;

use queue::TaskType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::media::Media;

/// What a plugin wants shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct View {
    /// Text in Markdown, on any number of lines.
    #[serde(default)]
    pub text: String,
    /// A numbered list.
    #[serde(default)]
    pub items: Vec<Entry>,
    /// Pictures and videos.
    #[serde(default)]
    pub media: Vec<Media>,
    /// Rows of buttons.
    #[serde(default)]
    pub buttons: Vec<Vec<ViewButton>>,
    /// The task that loads more.
    #[serde(default)]
    pub next: Option<TaskRequest>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its title.
    pub title: String,
    /// Its link.
    #[serde(default)]
    pub url: Option<String>,
    /// A text on a line of its own.
    #[serde(default)]
    pub text: Option<String>,
}

/// A button of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewButton {
    /// Its text.
    pub text: String,
    /// What it does.
    #[serde(rename = "does")]
    pub action: ViewAction,
}

/// What a button of a view does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewAction {
    /// Submits a task, whose answer replaces the view.
    #[serde(rename = "ask")]
    Submit(TaskRequest),
    /// Opens an address.
    #[serde(rename = "open")]
    OpenUrl(String),
}

/// A task to submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRequest {
    /// Its type. A worker may offer it or not.
    pub task_type: TaskType,
    /// Its params.
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// The index of [`View::next`] among the buttons, above any that a view can have.
pub const NEXT_INDEX: usize = 99;

impl View {
    /// The task that a button submits, by its index over all rows, or [`NEXT_INDEX`]; none when it submits none.
    pub fn task_request(&self, index: usize) -> Option<&TaskRequest> {
        if index == NEXT_INDEX {
            return self.next.as_ref();
        }
        match &self.buttons.iter().flatten().nth(index)?.action {
            ViewAction::Submit(ask) => Some(ask),
            ViewAction::OpenUrl(_) => None,
        }
    }

    /// The text of the button at an index; nothing for [`NEXT_INDEX`].
    pub fn label(&self, index: usize) -> &str {
        self.buttons.iter().flatten().nth(index).map_or("", |button| &button.text)
    }
}
