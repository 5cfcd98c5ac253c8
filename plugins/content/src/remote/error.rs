//! What can go wrong with the project.

/// Why there is no answer: what a person reads, and what the operator finds in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteError {
    /// Nothing there.
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
