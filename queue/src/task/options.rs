//! Options of a submit: priority band, delay, and detection of duplicates.

use std::time::Duration;

/// The priority of a task. All bands share one virtual time: a lower one waits longer, but never for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Band {
    /// A person waits for the answer.
    #[default]
    Interactive,
    /// Behind 50 interactive tasks of one user.
    Normal,
    /// Behind 500 interactive tasks of one user.
    Background,
}

impl Band {
    /// Added to the virtual start time, whose unit is one task of one user.
    pub(crate) fn offset(self) -> u32 {
        match self {
            Self::Interactive => 0,
            Self::Normal => 50,
            Self::Background => 500,
        }
    }
}

/// Options of a submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitOptions {
    /// The priority.
    pub band: Band,
    /// The task becomes ready after this delay. The time to live begins with the submit.
    pub delay: Duration,
    /// Within this time, a task of the same user, type and params is a duplicate of an earlier one that has not ended.
    pub duplicate_within: Duration,
    /// With [`SubmitOptions::duplicate_within`]: only tasks with the same scope are duplicates, for instance those of one pressed
    /// button.
    pub duplicate_scope: i64,
}
