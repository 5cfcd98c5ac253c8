//! What a reader of a tutorial does.

use super::change::Change;

/// A line of the page, with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
}

/// One thing to do, or to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Runs commands in the terminal.
    Run { commands: Vec<Line>, end: End },
    /// Sees these lines: of the program with that name, or of the last commands.
    See { lines: Vec<Line>, of: Option<String> },
    /// Writes a file.
    Write { at: usize, file: String, text: String },
    /// Changes a file.
    Change { at: usize, file: String, change: Change },
    /// Writes to the bot in the chat page.
    Chat { at: usize, text: String },
    /// Ends what runs in another terminal.
    CtrlC { at: usize, name: String },
}

/// How the commands of a block end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Each of them with success.
    Well,
    /// The last one with a failure.
    Fails,
    /// The last one not at all: it runs in a terminal of its own.
    Stays(String),
}

impl Step {
    /// The line that it begins at.
    pub(super) fn at(&self) -> usize {
        match self {
            Self::Run { commands: lines, .. } | Self::See { lines, .. } => {
                lines.first().map_or(0, |line| line.number)
            }
            Self::Write { at, .. }
            | Self::Change { at, .. }
            | Self::Chat { at, .. }
            | Self::CtrlC { at, .. } => *at,
        }
    }

    /// Its commands, or the text of its file.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Run { commands, .. } => commands.iter().map(|line| &*line.text).collect(),
            Self::Write { text, .. } => vec![text],
            Self::See { .. } | Self::Change { .. } | Self::Chat { .. } | Self::CtrlC { .. } => {
                Vec::new()
            }
        }
    }
}
