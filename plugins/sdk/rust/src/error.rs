//! Why a task has no answer.

use std::fmt;

/// Why a task has no answer. Every text is shown to a person: plain words, no secrets, no addresses. What the operator should
/// know belongs in [`crate::log`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The params make no sense; the person has to ask differently.
    Invalid(String),
    /// The params are fine, but there is nothing to answer with.
    NotFound(String),
    /// Something outside is away for the moment: the host tries again while there is time.
    Retry {
        /// What is away.
        reason: String,
        /// Wait at least so many milliseconds, for instance because a service asked for it.
        after_ms: Option<u64>,
    },
    /// It will not work until somebody changes something, for instance a setting.
    Fatal(String),
}

impl Error {
    /// See [`Error::Invalid`].
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// See [`Error::NotFound`].
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::NotFound(reason.into())
    }

    /// See [`Error::Retry`]. The host decides how long to wait.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after_ms: None }
    }

    /// See [`Error::Retry`].
    pub fn retry_after(reason: impl Into<String>, after_ms: u64) -> Self {
        Self::Retry { reason: reason.into(), after_ms: Some(after_ms) }
    }

    /// See [`Error::Fatal`].
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal(reason.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason)
            | Self::NotFound(reason)
            | Self::Retry { reason, .. }
            | Self::Fatal(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

/// Data that cannot be written as JSON: a mistake in the plugin.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::fatal(format!("JSON: {error}"))
    }
}
