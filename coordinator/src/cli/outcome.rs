//! The outcome of a subcommand, and its exit code.

/// Exit code for a task, dead letter or answer that does not exist.
const EXIT_NOT_FOUND: u8 = 2;

/// The outcome of a subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// A task was run and failed, or what was looked at is not well.
    Failed,
    /// Its object does not exist.
    NotFound,
}

impl Outcome {
    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::NotFound => EXIT_NOT_FOUND,
        }
    }
}
