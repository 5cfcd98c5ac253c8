//! How a task is submitted: how soon its turn comes, after which delay, and what counts as a double.

use std::time::Duration;

/// How soon a task's turn comes. All bands age in the same virtual time: a lower one waits longer, never for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Band {
    /// Somebody waits.
    #[default]
    Interactive,
    /// Behind 50 tasks of one person.
    Normal,
    /// Behind 500.
    Background,
}

impl Band {
    /// Added to the virtual start time, whose unit is one task of one person.
    pub(crate) fn offset(self) -> u32 {
        match self {
            Self::Interactive => 0,
            Self::Normal => 50,
            Self::Background => 500,
        }
    }
}

/// How a task is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitOptions {
    /// How soon its turn comes.
    pub band: Band,
    /// Becomes ready only after this. The time to live begins with the submit.
    pub delay: Duration,
    /// A task of the same person, type and params within this time is a duplicate of the first while that is not
    /// answered.
    pub same_within: Duration,
    /// With [`SubmitOptions::same_within`]: where it was asked; the same question in another place is another one.
    pub same_place: i64,
}
