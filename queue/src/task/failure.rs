//! Why tasks fail: the stable codes.

use std::fmt;
use std::str::FromStr;

/// Defines the codes once: the variants, their text and the list of all.
macro_rules! failure_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// Why a task failed: `metadata.code` of its result.
        ///
        /// Codes are a contract: the chat has a sentence for each, and metrics have them as labels. Renaming one is a
        /// breaking change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FailureCode {
            $($(#[$doc])* $variant,)*
        }

        impl FailureCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as text.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

failure_codes! {
    /// The task cannot be read.
    InvalidTask = "invalid-task",
    /// The plugin or its schema refuses the params.
    InvalidParams = "invalid-params",
    /// The task is larger than the queue accepts.
    TaskTooLarge = "task-too-large",
    /// No plugin here handles the task type.
    UnknownTaskType = "unknown-task-type",
    /// The plugin found no match.
    NotFound = "not-found",
    /// The plugin reported a failure.
    PluginFailed = "plugin-failed",
    /// A temporary failure happened too often, or too close to the deadline.
    RetriesExhausted = "retries-exhausted",
    /// The plugin crashed.
    Trap = "trap",
    /// The plugin ended itself instead of answering.
    Exited = "exited",
    /// The plugin took too long.
    WallLimit = "wall-limit",
    /// The plugin used up its CPU time.
    CpuLimit = "cpu-limit",
    /// The plugin needed more memory than allowed.
    MemoryLimit = "memory-limit",
    /// The plugin needed a larger table than allowed.
    TableLimit = "table-limit",
    /// The plugin's call stack was too deep.
    StackLimit = "stack-limit",
    /// The plugin held too many handles at a time.
    HandleLimit = "handle-limit",
    /// The plugin passed too much data in one call of the host.
    HostCallLimit = "hostcall-limit",
    /// The params are larger than allowed.
    InputLimit = "input-limit",
    /// The answer is larger than allowed.
    OutputLimit = "output-limit",
    /// The plugin wrote a longer log than allowed.
    LogLimit = "log-limit",
    /// The plugin sent more HTTP requests than allowed.
    RequestLimit = "request-limit",
    /// The body of a plugin's HTTP request is too large.
    RequestBodyLimit = "request-body-limit",
    /// An HTTP response is larger than allowed.
    ResponseLimit = "response-limit",
    /// The plugin used up its share of the cache.
    CacheLimit = "cache-limit",
    /// The plugin's answer, or a stored result, cannot be read.
    InvalidOutput = "invalid-output",
    /// The worker could not run the task; not the plugin's fault.
    HostError = "host-error",
    /// Workers died while running the task.
    WorkerCrashed = "worker-crashed",
    /// The deadline passed.
    DeadlineExceeded = "deadline-exceeded",
    /// The deadline passed, and no worker offers the task type.
    NoWorker = "no-worker",
    /// The task was cancelled.
    Cancelled = "cancelled",
}

/// A text that is not a code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a failure code of this version")]
pub struct UnknownFailureCode;

impl FromStr for FailureCode {
    type Err = UnknownFailureCode;

    fn from_str(text: &str) -> Result<Self, UnknownFailureCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(UnknownFailureCode)
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes are a contract: this list changes only by additions.
    #[test]
    fn the_published_codes_are_these() {
        let all: Vec<&str> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            all,
            [
                "invalid-task",
                "invalid-params",
                "task-too-large",
                "unknown-task-type",
                "not-found",
                "plugin-failed",
                "retries-exhausted",
                "trap",
                "exited",
                "wall-limit",
                "cpu-limit",
                "memory-limit",
                "table-limit",
                "stack-limit",
                "handle-limit",
                "hostcall-limit",
                "input-limit",
                "output-limit",
                "log-limit",
                "request-limit",
                "request-body-limit",
                "response-limit",
                "cache-limit",
                "invalid-output",
                "host-error",
                "worker-crashed",
                "deadline-exceeded",
                "no-worker",
                "cancelled",
            ]
        );
    }

    #[test]
    fn a_code_reads_back_from_its_text() {
        for code in FailureCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(*code));
        }
        assert_eq!("no such code".parse::<FailureCode>(), Err(UnknownFailureCode));
    }
}
