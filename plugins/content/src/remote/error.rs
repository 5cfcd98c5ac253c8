//! What can go wrong with the project.

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteError {
    /// The creator has no content.
    NotFound(String),
    /// The operator has to change something.
    Fatal {
        /// For the log.
        operator: String,
    },
    /// It may work later.
    Later {
        /// For the log.
        operator: String,
        /// How long we are asked to wait.
        after_ms: Option<u64>,
    },
}
