//! How a subcommand ended, for the shell.

/// Exit code for a task, dead letter or answer that does not exist.
const EXIT_NOT_FOUND: u8 = 2;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// A task was run and failed.
    TaskFailed,
    /// There was nothing to do it to.
    NotFound,
}

impl Outcome {
    /// For the shell.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::TaskFailed => 1,
            Self::NotFound => EXIT_NOT_FOUND,
        }
    }
}
